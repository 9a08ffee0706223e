"""Describes what confines an agent: mounts, limits, system calls, control groups."""
