"""Kinds of steps as authors write them, one module each: the rules of that kind's part of a step, and the plan that it becomes."""
