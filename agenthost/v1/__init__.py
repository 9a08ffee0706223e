"""The messages and stubs of `protos/agenthost/v1`: written here by `protos/generate.py`, never by hand, never committed."""
