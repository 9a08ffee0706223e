"""Pools: the slots of a model's endpoint, which hold over all hosts, runs and steps of a conductor. Pure functions of the state."""
