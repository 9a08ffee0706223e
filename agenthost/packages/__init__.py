"""Agents that others make and npm carries: where they are installed, and how they get there."""
