"""Reads a snapshot and its history, as the agent `survey`, and ends in findings with verbatim evidence.

It needs no model, and runs as `python -I -S /opt/agent survey LENS` inside the sandbox, with the host's parsers. It reads only:
no file of the repository is imported, executed or followed out of the repository; the one program it starts is git.
"""
