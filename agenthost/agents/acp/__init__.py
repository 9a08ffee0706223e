"""The bridge `acp`: drives an agent of the Agent Client Protocol inside the sandbox, and speaks jsonl for it.

    program ─▶ session ─▶ connection (JSON-RPC, a line each)
                  └─────▶ updates ─▶ ../voice

As untrusted as the agent that it drives: the sandbox is the boundary, this is only a translator. Standard library only.
Protocol: https://agentclientprotocol.com, version 1.
"""
