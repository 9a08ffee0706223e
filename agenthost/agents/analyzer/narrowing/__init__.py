"""What a repository's own configuration of a tool leaves out: a module for each tool, with `narrow(root, base) -> Narrowing`.

Tools run with our configuration, so that no repository silences them or has them load anything. These modules read the
repository's one as data, and never run any of it. In a comparison they read it as the base has it.
"""
