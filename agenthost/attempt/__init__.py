"""Runs one attempt: from its Start over its shim and spool to its acknowledged end."""
