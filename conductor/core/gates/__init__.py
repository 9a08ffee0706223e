"""Gates and pauses: opens a gate, takes the decision about it, and says when a run is paused."""
