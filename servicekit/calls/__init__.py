"""The calls that a server of ours takes: how many of each kind, and those of its health."""
