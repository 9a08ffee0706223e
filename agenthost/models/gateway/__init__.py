"""Relays agents to their models, in a process of its own: `__main__` says how it is run and what it keeps."""
