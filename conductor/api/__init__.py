"""The faces of the conductor: one servicer per service. They check, ask and answer; they never decide what a run does."""
