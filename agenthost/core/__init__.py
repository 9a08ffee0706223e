"""Decides for the agent host, and does nothing else: no clock, no IO, no chance, no protocol."""
