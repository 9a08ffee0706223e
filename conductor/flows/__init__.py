"""Flow files, personas and contracts: found, read, validated and pinned. A flow file *is* a Flow message.

Nothing here runs a step, and nothing but the worker processes and the CLI calls what compiles an author's expressions.
"""
