"""Holds the lens `docs`."""
