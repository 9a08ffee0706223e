"""Runs the daemon as a whole: state, supervisor, adoption, fences, tombstones, data folder, housekeeping."""
