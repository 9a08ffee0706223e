"""The tasks of workers for each kind of step, in one module each. Workers load them; the service never does."""
