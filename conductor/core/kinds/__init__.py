"""Kinds of steps, one module each: begins such a step, takes it further, asks workers and takes their answers."""
