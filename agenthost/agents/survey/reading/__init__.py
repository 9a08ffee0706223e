"""Reads the snapshot and its history: files, languages, functions, commits."""
