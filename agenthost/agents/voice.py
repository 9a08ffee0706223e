"""Speaks the jsonl dialect on standard output, for the reader and for bridges: one JSON object a line, flushed at once."""

import json
from collections.abc import Mapping
from typing import Any, TextIO


class Voice:
    """Writes what is said, in order."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def answer(self, text: str) -> None:
        """Adds to the answer."""
        self._write("answer", text=text)

    def reasoning(self, text: str) -> None:
        """Adds to what the model thinks aloud."""
        self._write("reasoning", text=text)

    def log(self, sentence: str) -> None:
        """Says in words what the program itself does."""
        self._write("log", text=f"{sentence}\n")

    def tool_call(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> None:
        """Names a tool and its arguments before it runs."""
        self._write("tool_call", id=call_id, name=name, arguments=dict(arguments))

    def tool_result(self, call_id: str, text: str, *, failed: bool) -> None:
        """Tells what a tool returned."""
        self._write("tool_result", id=call_id, failed=failed, text=text)

    def denial(self, text: str) -> None:
        """Tells that the agent was refused something."""
        self._write("denial", text=text)

    def notice(self, text: str) -> None:
        """Tells that something is missing from what is told."""
        self._write("notice", text=text)

    def usage(self, input_tokens: int, output_tokens: int, turns: int) -> None:
        """Tells the tokens of all requests so far."""
        self._write("usage", input_tokens=input_tokens, output_tokens=output_tokens, turns=turns)

    def final(self, result: Mapping[str, Any]) -> None:
        """Ends with a typed result."""
        self._write("final", result=dict(result))

    def turn(self, *, failed: bool = False) -> None:
        """Tells that the turn is over. Everything of the turn comes before; the next prompt follows, or the end of stdin."""
        self._write("turn", failed=failed)

    def _write(self, kind: str, **fields: Any) -> None:
        # ASCII only: file names may hold lone surrogates, which no encoding but JSON's escapes can carry.
        self._stream.write(json.dumps({"type": kind, **fields}) + "\n")
        self._stream.flush()
