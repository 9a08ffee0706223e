"""The values of steps that expressions and templates see: `steps.ID.{state,text,output,findings,attempts,error,items}`.

A prompt must stay readable, so every earlier result has a limit there, and a sentence says what is left out (F2). Guards and folds
see whole results, up to the limits of a request.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from conductor.evaluation.evidence.findings import spell_out

DEFAULT_RESULT_CHARACTERS = 20_000


class Result(NamedTuple):
    """The end of a step and its result. `text_bytes` is the text's size before the service truncated it.

    It is a tuple, because the last step of a long chain sees hundreds, and a frozen dataclass takes three times as long to make.
    """

    state: str
    text: str = ""
    text_bytes: int = 0
    output: Any = None
    findings: tuple[dict[str, Any], ...] = ()
    items: tuple[dict[str, Any], ...] = ()  # of a step with items or rounds: {item, state, steps: {ID: value}}
    attempts: int = 0
    error: dict[str, str] | None = None
    coverage: tuple[dict[str, Any], ...] = ()


def read_results(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Result]:
    """Returns the results in a request."""
    return {
        step: Result(
            state=value["state"],
            text=value.get("text", ""),
            text_bytes=value.get("text_bytes", 0),
            output=value.get("output"),
            findings=tuple(map(spell_out, value.get("findings", ()))),
            items=tuple(value.get("items", ())),
            attempts=value.get("attempts", 0),
            error=value.get("error"),
            coverage=tuple(value.get("coverage", ())),
        )
        for step, value in values.items()
    }


def whole(results: Mapping[str, Result]) -> dict[str, dict[str, Any]]:
    """Returns the results as guards, folds and reports see them."""
    return {
        step: {
            "state": result.state,
            "text": _told_whole(result),
            "output": result.output,
            "findings": list(result.findings),
            "items": [{**item, "steps": whole(read_results(item["steps"]))} for item in result.items],
            "attempts": result.attempts,
            "error": result.error,
        }
        for step, result in results.items()
    }


def _told_whole(result: Result) -> str:
    # It is called hundreds of times in a long chain, so the common case comes first.
    return result.text if result.text_bytes <= len(result.text) else shortened(*result[1:3], len(result.text))


class Watched(dict[str, Any]):
    """A step's result in a prompt. It remembers whether its findings were used."""

    findings_read: bool = False

    def __getitem__(self, key: str) -> Any:
        self.findings_read = self.findings_read or key == "findings"
        return super().__getitem__(key)

    def items(self) -> Any:
        """Returns all members, findings included."""
        self.findings_read = True
        return super().items()

    def values(self) -> Any:
        """Returns all members, findings included."""
        self.findings_read = True
        return super().values()


def limited(results: Mapping[str, Result], characters: int) -> dict[str, Watched]:
    """Returns the results as a prompt sees them: each part has at most `characters`."""
    return {
        step: Watched(
            state=result.state,
            text=shortened(result.text, result.text_bytes, characters),
            output=_limited_output(result.output, characters),
            findings=list(_fitting(result.findings, characters)),
            items=_limited_items(result.items, characters),
            attempts=result.attempts,
            error=result.error,
        )
        for step, result in results.items()
    }


def _limited_items(items: Sequence[dict[str, Any]], characters: int) -> list[dict[str, Any]]:
    """Returns the items with their results limited: all of them together have at most `characters` for each part."""
    most = characters // max(1, len(items))
    return [{**item, "steps": limited(read_results(item["steps"]), most)} for item in items]


def left_out(results: Mapping[str, Result], seen: Mapping[str, Watched]) -> Iterator[str]:
    """Yields a sentence for every list of findings that a prompt used and that did not fit."""
    for step, watched in seen.items():
        given, total = len(dict.__getitem__(watched, "findings")), len(results[step].findings)
        if watched.findings_read and given < total:
            yield f"[Left out: {total - given} of the {total} findings of step {step}. The first {given} are given above.]"


def shortened(text: str, total_bytes: int, characters: int) -> str:
    """Returns the text's beginning, with a sentence in place of the rest."""
    if len(text) <= characters and total_bytes <= len(text):
        return text  # the common case: nothing needs to be counted
    kept = text[:characters]
    total = max(total_bytes, len(text.encode(errors="replace")))
    missing = total - len(kept.encode(errors="replace"))
    if missing <= 0:
        return text
    return f"{kept}\n[Cut here: {missing} of {total} bytes of this result are left out.]"


def _limited_output(output: Any, characters: int) -> Any:
    text = json.dumps(output, ensure_ascii=False)
    return output if len(text) <= characters else shortened(text, 0, characters)


def _fitting(findings: Sequence[dict[str, Any]], characters: int) -> Iterator[dict[str, Any]]:
    used = 0
    for finding in findings:
        used += len(json.dumps(finding, ensure_ascii=False))
        if used > characters:
            return
        yield finding
