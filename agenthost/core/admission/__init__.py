"""Decides whether a Start or Resume attaches, begins or is refused; parses agent specs."""
