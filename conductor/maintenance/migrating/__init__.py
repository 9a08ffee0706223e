"""Migration: a conductor with all of its runs goes from one store to another, and keeps its id.

`judgement` decides whether and where to begin, `copying` copies and compares rows by key, `proof` makes the lists again from the
journal, `snapshots` carries these, `migration` does it all in order, `places` opens what a command names.
"""
