"""Holds the lens `delivery`."""
