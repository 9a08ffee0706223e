"""Everything that outlives the conductor's process: the port that the conductor works against, and the stores behind it."""
