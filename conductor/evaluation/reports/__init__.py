"""The report of a run: its facts, its size, JSON and Markdown."""
