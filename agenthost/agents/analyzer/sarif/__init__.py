"""Reads SARIF: `document` the stream of it, `values` the parts that are taken whole."""
