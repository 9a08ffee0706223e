"""The lens `hotspots`."""
