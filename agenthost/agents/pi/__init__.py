"""The bridge `pi`: drives `pi --mode rpc` inside the sandbox, and speaks jsonl for it.

Protocol: packages/coding-agent/docs/rpc.md of pi. Commands go in, responses and events come out, a JSON object a line.
"""
