"""Proves the sandbox by trying to break out of it. No proof, no run."""
