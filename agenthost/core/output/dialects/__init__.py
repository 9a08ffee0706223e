"""Parsers of what agents print: a file for each dialect, registered by name in `table`."""
