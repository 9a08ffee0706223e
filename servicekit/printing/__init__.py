"""Prints for people and programs: what reaches a terminal is harmless and fits, what reaches a program is exact."""
