"""Joins runs with their sub-runs: creates them, and brings what one has to tell the other."""
