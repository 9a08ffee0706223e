"""Holds the built-in agents: a spec file each, and the programs of those that are ours.

The service imports nothing from here: this folder is bound read-only into the sandbox, and its programs run there.
"""
