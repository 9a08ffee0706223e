"""Holds the lens `tests`."""
