"""Holds the lens `risks`."""
