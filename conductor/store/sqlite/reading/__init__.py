"""Reads pages by key, each inside one function on a reader connection."""
