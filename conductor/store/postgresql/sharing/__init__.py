"""What several conductors of one schema need beside the store: the lease, the wake-ups of others, and what the active one shows."""
