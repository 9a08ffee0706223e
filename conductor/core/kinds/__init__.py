"""Kinds of steps, one module each: how a step of that kind begins and goes on, what it asks workers, what an answer means."""
