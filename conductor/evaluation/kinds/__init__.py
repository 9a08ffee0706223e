"""What workers do for each kind of step: one module each, with its tasks. A worker loads these; the service never does."""
