"""Finds the findings in an agent's answer, whatever their form: fenced, bare, among prose, one by one, or slightly broken.

The last value in the text that can be read as findings counts. What a model only thought, and what it repeats of its author's
example, are no candidates (see `candidates`). What the values mean is read by `findings`.
"""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from conductor.evaluation.answers.candidates import HOLDERS, NO_JSON, Searched, canonical, echoes_of, values_in
from conductor.evaluation.answers.leniency import lenient_value, normal_finding
from conductor.evaluation.answers.results import ResultError, read_result

_OPENING = re.compile(r'\{\s*"findings"\s*:\s*\[\s*\{')  # of findings, even if what follows is no JSON


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
    searched = Searched(answer)
    text = searched.text
    echoes = echoes_of(examples)
    candidates = [
        (value, end)
        for value, end in values_in(text)
        if canonical(value) not in echoes or _ends_empty(value, text[end:])
    ]
    if any(_is_finding(value) or _list_in(value) for value, _ in candidates):
        candidates = [(value, end) for value, end in candidates if not _is_mention(value, text, end)]
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
            return Extraction(searched.unsealed(document), is_meant=is_meant or bool(document["findings"]))
    if candidates and not is_meant:
        complaint = "none of its JSON is a list of findings"
    return Extraction(complaint=complaint, is_meant=is_meant or bool(_OPENING.search(text)))


def _ends_empty(value: Any, rest: str) -> bool:
    """Returns whether an answer ends in an empty list of findings, which authors ask for where there are none."""
    return value == {"findings": []} and not rest.strip("` \t\r\n")


def _is_mention(value: Any, text: str, end: int) -> bool:
    """Returns whether an empty list only stands in a sentence, such as one about a file that asks for it: it takes nothing back."""
    if value != {"findings": []}:
        return False
    line = text[text.rfind("\n", 0, end) + 1 : end].strip("> \t`")
    behind = text[end:].partition("\n")[0].strip("` \t")
    return bool(behind or not line.startswith(("{", "}", "]", '"')))


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
    for name in HOLDERS:
        inner = value.get(name)
        if isinstance(inner, str):
            inner = lenient_value(inner)
        if isinstance(inner, dict | list) and (listed := _list_in(inner)) is not None:
            return listed
    return None


def _is_finding(value: Any) -> bool:
    return isinstance(value, dict) and "severity" in value and ("title" in value or "claim" in value)
