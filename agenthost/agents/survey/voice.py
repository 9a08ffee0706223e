"""Speaks the JSON lines dialect on standard output: one object per line, flushed, so that people can watch.

It does not decide what to say.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from ..files import spelt
from .finding import Finding, shorten

MAX_TEXT_CHARACTERS = 2000


class Voice:
    """Writes what the survey says, in the order in which it says it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def log(self, sentence: str) -> None:
        """Says in words what is being looked at, or what was seen."""
        self._write({"type": "log", "text": shorten(sentence, MAX_TEXT_CHARACTERS) + "\n"})

    def answer(self, text: str) -> None:
        """Adds to the readable answer."""
        self._write({"type": "answer", "text": text})

    def finish(
        self,
        findings: Sequence[Finding],
        notes: Sequence[str] = (),
        unjudged: int = 0,
        coverage: Mapping[str, Any] | None = None,
    ) -> None:
        """Ends with the result; `notes` say what it does not speak of, `unjudged` counts files that it could not judge."""
        result: dict[str, Any] = {"findings": [finding.to_json() for finding in findings]}
        if notes:
            result["notes"] = list(notes)
        if unjudged:
            result["unjudged"] = unjudged
        if coverage:
            result["coverage"] = dict(coverage)
        self.result(result)

    def result(self, result: Mapping[str, Any]) -> None:
        """Ends with a typed result."""
        self._write({"type": "final", "result": dict(result)})

    def _write(self, message: dict[str, Any]) -> None:
        # ASCII only: names of files may hold lone surrogates, which no encoding but JSON's escapes can carry.
        self._stream.write(json.dumps(_clean(message)) + "\n")
        self._stream.flush()


def _clean(value: Any) -> Any:
    match value:
        case str():
            return spelt(value)
        case dict():
            return {key: _clean(item) for key, item in value.items()}
        case list():
            return [_clean(item) for item in value]
        case _:
            return value
