"""The bridge `acp`: drives an agent of the Agent Client Protocol inside the sandbox, and speaks jsonl for it.

Protocol: https://agentclientprotocol.com, version 1.
"""
