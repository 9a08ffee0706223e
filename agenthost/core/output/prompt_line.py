"""Writes a prompt as the line of JSON that an agent with turns reads on its stdin: a prompt of many lines is one input."""

import json


def prompt_line(dialect: str, text: str) -> str:
    """Returns a prompt in the form that belongs to a dialect: what `claude --input-format stream-json` reads, or our own."""
    message: dict[str, object] = {"type": "prompt", "text": text}
    if dialect == "stream-json":
        message = {"type": "user", "message": {"role": "user", "content": [{"type": "text", "text": text}]}}
    return json.dumps(message, ensure_ascii=False) + "\n"
