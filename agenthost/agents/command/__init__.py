"""Runs a command that the host's operator declared, over a throw-away copy of the snapshot, and ends in its exit code and output.

It runs inside the sandbox, as every agent does: the snapshot stays read-only, and there is no network. The copy lies in the
sandbox's own /tmp, whose size the operator sets, and goes with it.
"""
