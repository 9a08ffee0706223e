"""The lens `docs`."""
