"""Every decision of the conductor, and nothing else: no clock, no IO, no chance, no protocol."""
