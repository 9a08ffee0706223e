"""The gateway between agents and their models, a process of its own: `__main__` says how it is run and what it keeps."""
