"""The parts that every bridge shares. A bridge drives an agent inside the sandbox, and speaks jsonl for it.

    program ─▶ a session (`../acp`, `../codex`, `../pi`) ─▶ rpc ─▶ child: the agent, a line each way
                  └─────▶ its updates ─▶ telling ─▶ ../voice

As untrusted as the agent that it drives: the sandbox is the boundary, this is only a translator. Standard library only.
"""
