"""Reads a user's repository and working tree, which may be hostile or in the middle of an edit. Writes nothing there."""
