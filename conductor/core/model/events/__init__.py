"""Events: the facts of runs and steps, of attempts and of gates, and the parts that they share."""
