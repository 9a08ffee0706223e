"""What runs, steps, attempts, turns, items, gates and sub-runs are, folded from their events."""
