"""Readers of the output of tools that write no SARIF: a module for each, with `read(stream) -> Iterator[Result]`."""
