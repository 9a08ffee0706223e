"""Drives an analyzer inside the sandbox: a deterministic tool that writes SARIF, or whose output an adapter reads.

    program ─▶ selection: which files ─▶ running: the tool, batch by batch ─▶ sarif or an adapter: results, one by one
                 ├─▶ blocks: pieces of files in another language, as files of their own
                 └─▶ narrowing: what the repository's configuration leaves out ─▶ telling: findings, counts, what was not judged

As untrusted as the tool and the repository: the sandbox is the boundary, and all that is read here has bounds. Nothing of the
repository is executed, and no tool reads its configuration there. Standard library only.
"""
