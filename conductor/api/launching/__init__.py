"""Runs that follow from other runs, and plans of runs: what is asked of them before the engine is asked for anything."""
