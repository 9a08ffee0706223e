"""Holds the lens `hotspots`."""
