"""Commands that make a run of an earlier one, and that show a run before it is made."""
