"""Holds the lens `structure`."""
