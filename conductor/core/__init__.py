"""The decisions of the conductor: pure functions without clock, IO, chance or protocol."""
