"""Reads a snapshot and its history for the survey and for facts: files, functions, commits. It judges nothing."""
