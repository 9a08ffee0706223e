"""Reads and shows runs, steps, output, reports, gates and comparisons."""
