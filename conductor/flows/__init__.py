"""Flow files, personas and contracts: finds, reads, validates and pins them. A flow file *is* a Flow message.

Nothing here runs a step. Only worker processes and the CLI call code that compiles an author's expressions.
"""
