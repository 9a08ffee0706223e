"""Tries to break out of the sandbox that it runs in. It imports nothing of the host's."""
