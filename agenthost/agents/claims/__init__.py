"""Compares what documents tell their readers with the repository: sections, commands, files, examples and services.

A part of the lens `docs`. It says nothing where it cannot know: what a site generates, what another project owns, and what the
words of a changelog meant when they were written.
"""
