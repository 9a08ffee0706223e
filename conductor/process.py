"""Starts trusted programs: git and the evaluator's workers. Nothing else in this package starts a process.

How stands in `furniture/programs.py`, written once for both services.
"""

from conductor.v1.furniture.programs import MAX_STDERR_BYTES, Completed, Running, memory_file, run, start

__all__ = ["MAX_STDERR_BYTES", "Completed", "Running", "memory_file", "run", "start"]
