"""Finds flows, personas and contracts in their layers, and pins what a run uses."""
