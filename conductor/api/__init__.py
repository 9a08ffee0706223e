"""The API of the conductor: one servicer for each service. They check, ask and answer; they never decide what a run does."""
