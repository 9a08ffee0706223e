"""Decisions of the core: `advance` and its parts. Pure functions of state, inputs and time."""
