"""The lens `risks`."""
