"""Keeps one attempt, in a program of its own: standard library only. `__main__` says how it is run and what it keeps."""
