"""The lens `tests`."""
