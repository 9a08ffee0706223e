"""Every decision of the agent host, and nothing else: no clock, no IO, no chance, no protocol."""
