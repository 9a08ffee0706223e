"""What follows from a bad end: another attempt, a loss, a clock that ran out."""
