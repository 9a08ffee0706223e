"""Writes decisions, deletes and packs: everything that the one writer does."""
