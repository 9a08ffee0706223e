"""Where attempts run: the seats of hosts, and the slots of models' endpoints."""
