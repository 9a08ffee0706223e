"""The copies of runs' snapshots in a blob store, from which any machine takes them.

`names` says how copies are named and which may go, `packing` has the form of a copy, `copies` stores and fetches.
"""
