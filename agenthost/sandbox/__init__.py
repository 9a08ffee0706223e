"""Finds the sandbox, and prepares control groups. Starts no agent."""
