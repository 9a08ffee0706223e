"""Kinds of steps as authors write them, one module each: judges that kind's part of a step, and plans it."""
