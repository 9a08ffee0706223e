"""The lease on a shared database: which conductor is the active one, when it must stop, and when a standby takes over."""
