"""The program that tries to break out of the sandbox it is run in. Bound there at /opt/agent: it imports nothing of ours."""
