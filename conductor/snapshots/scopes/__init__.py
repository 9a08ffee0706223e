"""Finds the part of a workspace that a run is about: its base, its paths, and the changes between base and snapshot.

scoping ─▶ scope, base ─▶ reading.source, storing.objects
   └─────▶ comparison ─▶ patch, changes
"""
