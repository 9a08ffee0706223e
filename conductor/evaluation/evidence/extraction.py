"""Finds the findings in an agent's answer, whatever their form: fenced, bare, among prose, one by one, or slightly broken.

The last value in the text that can be read as findings counts. What a model only thought, and what it repeats of its author's
example, are no candidates. The text is walked once from its beginning, so that a document is met before its parts; every step of
that is bounded, since a model may write anything. What the values mean is read by `findings`.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from conductor.evaluation.evidence.findings import ResultError, read_result
from conductor.evaluation.evidence.leniency import lenient_value, normal_finding
from servicekit.secrets.mask import ESCAPED, MASK

MAX_SEARCHED_CHARACTERS = 512 * 1024  # of the answer's end
MAX_VALUES = 2000
MAX_TRIES = 5000
MAX_WALKED_CHARACTERS = 16 * 1024 * 1024  # that failed tries may walk over, together
_THOUGHT_END = "</think>"
_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_HOLDERS = ("result", "output", "answer", "response", "report", "data", "review")
_OPENING = re.compile(r'\{\s*"findings"\s*:\s*\[\s*\{')  # of findings, even if what follows is no JSON
NO_JSON = "it holds no JSON"
_START = re.compile(r"[{\[]")
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class Extraction:
    """A result as an agent's own would be, in JSON; or the complaint why there is none.

    `is_meant`: findings stand in the answer, whether they can be read or not. An empty list is none.
    """

    result: bytes = b""
    complaint: str = ""
    is_meant: bool = False


def extract_result(answer: str, step: str, examples: Collection[str] = ()) -> Extraction:
    """Returns the findings in an answer. `examples` are texts of the flow's author, which models like to repeat."""
    seal = f"mask-{hashlib.sha256(answer.encode(errors='replace')).hexdigest()}"  # which no agent can write
    text = _without_thoughts(answer)[-MAX_SEARCHED_CHARACTERS:].replace(MASK, seal)
    echoes = {_canonical(value) for example in examples for value, _ in _values(example)}
    candidates = [
        (value, end)
        for value, end in _values(text)
        if _canonical(value) not in echoes or _ends_empty(value, text[end:])
    ]
    complaint, is_meant = NO_JSON, False
    for document, is_broken_off in _documents(candidates, text):
        try:
            found = read_result(json.dumps(document).encode(), step)
        except (ResultError, ValueError, RecursionError) as error:
            complaint, is_meant = complaint if is_meant else str(error), True
            continue
        if found is not None:
            if is_broken_off:
                document["notes"] = ["the list of findings breaks off: what would follow was not read"]
            return Extraction(_unsealed(document, seal), is_meant=is_meant or bool(document["findings"]))
    if candidates and not is_meant:
        complaint = "none of its JSON is a list of findings"
    return Extraction(complaint=complaint, is_meant=is_meant or bool(_OPENING.search(text)))


def _ends_empty(value: Any, rest: str) -> bool:
    """Returns whether an answer ends in an empty list of findings, which authors ask for where there are none."""
    return value == {"findings": []} and not rest.strip("` \t\r\n")


def _unsealed(document: dict[str, Any], seal: str) -> bytes:
    """Returns a document with the masks that its host passed on. Others came from JSON's escapes, which hosts do not see."""
    return json.dumps(document).replace(MASK, ESCAPED).replace(seal, MASK).encode()


def _without_thoughts(answer: str) -> str:
    """Returns the answer without blocks of thinking, which are no answer."""
    before, end, after = answer.rpartition(_THOUGHT_END)
    if end and "<think" not in before:  # some servers swallow the opening tag
        return after
    return _THOUGHT.sub("\n", answer)


def _documents(candidates: list[tuple[Any, int]], text: str) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yields what may be findings, the last first; whether it stands in a list that breaks off."""
    singles: list[Any] = []
    for value, place in reversed(candidates):
        if _is_finding(value):
            singles.append(value)
            continue
        if singles:
            yield _document(singles[::-1]), _breaks_off(text, place)
            singles = []
        if (listed := _list_in(value)) is not None and (listed or not isinstance(value, list)):
            yield _document(listed), False
    if singles:
        yield _document(singles[::-1]), _breaks_off(text, 0)
    if text.strip().strip("`").removeprefix("json").strip() == "[]":
        yield _document([]), False


def _breaks_off(text: str, place: int) -> bool:
    return '"findings"' in text[place:]


def _document(findings: list[Any]) -> dict[str, Any]:
    return {"findings": [normal_finding(each) for each in findings]}


def _list_in(value: Any) -> list[Any] | None:
    """Returns the list of findings that a value is or holds."""
    if isinstance(value, list):
        return value if all(_is_finding(each) for each in value) else None
    if not isinstance(value, dict):
        return None
    found = next((value[name] for name in value if name.lower() in {"findings", "issues"}), None)
    if isinstance(found, list):
        return found
    for name in _HOLDERS:
        inner = value.get(name)
        if isinstance(inner, str):
            inner = lenient_value(inner)
        if isinstance(inner, dict | list) and (listed := _list_in(inner)) is not None:
            return listed
    return None


def _is_finding(value: Any) -> bool:
    return isinstance(value, dict) and "severity" in value and ("title" in value or "claim" in value)


def _values(text: str) -> Iterator[tuple[Any, int]]:
    """Yields each largest JSON value of a text with its end."""
    position, walked, tries, count = 0, 0, 0, 0
    while (match := _START.search(text, position)) and count < MAX_VALUES:
        tries += 1
        if tries > MAX_TRIES or walked > MAX_WALKED_CHARACTERS:
            return
        start = match.start()
        value, end, seen = _value_at(text, start)
        walked += seen
        position = max(end, start + 1)
        if end > start:
            count += 1
            yield value, end
    whole = lenient_value(text) if text.lstrip().startswith('"') else None  # JSON within a JSON text
    if isinstance(whole, dict | list):
        yield whole, len(text)


def _value_at(text: str, start: int) -> tuple[Any, int, int]:
    """Returns the value that begins here, its end, and how far it was looked at; an end of 0 where there is none."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        seen = error.pos - start
    except RecursionError:
        return None, 0, len(text) - start
    else:
        return value, end, 0
    end = _balanced_end(text, start)
    seen += (end or len(text)) - start
    value = lenient_value(text[start:end]) if end else None
    return (value, end, seen) if isinstance(value, dict | list) else (None, 0, seen)


def _balanced_end(text: str, start: int) -> int:
    """Returns where the brackets that open here are closed, quotes respected; 0 where they are not."""
    depth, quote, position = 0, "", start
    while position < len(text):
        character = text[position]
        if quote:
            if character == "\\":
                position += 1
            elif character == quote:
                quote = ""
        elif character == '"':
            quote = character
        elif character in "{[":
            depth += 1
        elif character in "}]":
            depth -= 1
            if not depth:
                return position + 1
        position += 1
    return 0


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
