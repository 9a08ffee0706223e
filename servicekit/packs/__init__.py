"""Receives packs of git objects from callers that may be hostile: places for pushes, and what a pack may hold."""
