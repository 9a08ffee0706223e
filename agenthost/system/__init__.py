"""Wraps the operating system for the host: clock, files, processes, sockets."""
