"""The command line: the face of the product. It speaks only to the public API, and never shows a traceback."""

from conductor.cli.main import main

__all__ = ["main"]
