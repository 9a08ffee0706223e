"""Judges flows and inputs: every problem at once, with file, line and field."""
