"""Speaks the jsonl dialect on standard output, for the reader and for bridges: one JSON object a line, flushed at once."""

import json
from collections.abc import Mapping
from typing import Any, TextIO

from .files import spelt

# A line of the dialect has at most 1 MiB, and JSON may write one character as twelve bytes.
MAX_TEXT = 64_000
MAX_NAME = 256


class Voice:
    """Writes what is said, in order."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def answer(self, text: str) -> None:
        """Adds to the answer."""
        self._tell("answer", text)

    def reasoning(self, text: str) -> None:
        """Adds to what the model thinks aloud."""
        self._tell("reasoning", text)

    def log(self, sentence: str) -> None:
        """Says in words what the program itself does."""
        self._tell("log", f"{sentence}\n")

    def tool_call(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> None:
        """Names a tool and its arguments before it runs."""
        whole = json.dumps(dict(arguments))
        given = dict(arguments) if len(whole) <= 12 * MAX_TEXT else {"cut": whole[:MAX_TEXT]}
        self._write("tool_call", id=call_id[:MAX_NAME], name=name[:MAX_NAME], arguments=given)

    def tool_result(self, call_id: str, text: str, *, failed: bool) -> None:
        """Tells what a tool returned."""
        self._write("tool_result", id=call_id[:MAX_NAME], failed=failed, text=text[:MAX_TEXT])

    def denial(self, text: str) -> None:
        """Tells that the agent was refused something."""
        self._write("denial", text=text[:MAX_TEXT])

    def notice(self, text: str) -> None:
        """Tells that something is missing from what is told."""
        self._write("notice", text=text[:MAX_TEXT])

    def cut(self, text: str) -> None:
        """Tells why the answer is not whole."""
        self._write("cut", text=text[:MAX_TEXT])

    def usage(self, input_tokens: int, output_tokens: int, turns: int) -> None:
        """Tells the tokens of all requests so far."""
        self._write("usage", input_tokens=input_tokens, output_tokens=output_tokens, turns=turns)

    def final(self, result: Mapping[str, Any]) -> None:
        """Ends with a typed result. Names in it may hold bytes that are no UTF-8."""
        self._write("final", result=_spelt(dict(result)))

    def turn(self, *, failed: bool = False) -> None:
        """Tells that the turn is over. Everything of the turn comes before; the next prompt follows, or the end of stdin."""
        self._write("turn", failed=failed)

    def _tell(self, kind: str, text: str) -> None:
        """Writes a text as a line, or as several where it is long: the host joins them."""
        for at in range(0, len(text), MAX_TEXT):
            self._write(kind, text=text[at : at + MAX_TEXT])

    def _write(self, kind: str, **fields: Any) -> None:
        # ASCII only: file names may hold lone surrogates, which no encoding but JSON's escapes can carry.
        self._stream.write(json.dumps({"type": kind, **fields}) + "\n")
        self._stream.flush()


def _spelt(value: Any) -> Any:
    match value:
        case str():
            return spelt(value)
        case dict():
            return {key: _spelt(item) for key, item in value.items()}
        case list() | tuple():
            return [_spelt(item) for item in value]
        case _:
            return value
