"""Reads findings from an agent's result: tolerant of its form, and strict about its substance.

A finding that cannot be read is left out and counted in a note. One that can be read but not checked (a line 0, a quote that is
too long) stays, and its citation is MISSING with that reason. A step fails only if its findings are not a list, or if none can be
read. No pattern runs over an agent's text, but for its links, which are short.

An agent may also add `notes`: sentences about what its findings do not cover, such as a language that it has no rules for.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from conductor.core.numbers import wrong_numbers
from conductor.evaluation.answers.coverage import read_coverage
from conductor.evaluation.evidence.findings import (
    MAX_CLAIM_CHARACTERS,
    MAX_EVIDENCE,
    MAX_FINDINGS,
    MAX_NOTES,
    SEVERITIES,
    Evidence,
    Finding,
    Found,
    line_number,
)

MAX_RESULT_BYTES = 1024 * 1024
MAX_WRONG_NUMBERS = 20
MAX_NOTE_CHARACTERS = 500
MAX_QUOTE_CHARACTERS = 4000
MAX_REMEDY_CHARACTERS = 1000
MAX_RULE_CHARACTERS = 100
MAX_PATH_CHARACTERS = 1000
MAX_TITLE_CHARACTERS = 200
MAX_LINK_CHARACTERS = 300
MAX_UNJUDGED_FILES = 200
_LINK = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~:/?#@!$&+,;=%-]*)?")
DEFAULT_CATEGORY = "general"
QUOTES_NOTHING = "it quotes nothing"


class ResultError(Exception):
    """The findings of a result cannot be read. `errors` says it in full, one sentence each."""

    def __init__(self, message: str, errors: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.errors = list(errors) or [message]


def read_result(data: bytes, step: str) -> Found | None:
    """Returns the unchecked findings in an agent's result; None where it has none. Raises ResultError."""
    if len(data) > MAX_RESULT_BYTES:
        raise ResultError(f"the result has {len(data)} bytes; the limit is {MAX_RESULT_BYTES}")
    try:
        result = json.loads(data)
        wrong = _wrong_members(result)
    except (ValueError, RecursionError) as error:
        raise ResultError(f"the result is not JSON: {error}") from error
    if wrong:
        raise ResultError(wrong[0], wrong)
    if not isinstance(result, dict) or result.get("findings") is None:
        return None
    if not isinstance(result["findings"], list):
        raise ResultError("the result's findings are not a list")
    found = _read_list(result["findings"], _read_notes(result.get("notes")), step)
    coverage = read_coverage(result.get("coverage"))
    told = ({"step": step, **coverage},) if coverage else ()
    named = result.get("unjudged_files")
    files = tuple(one for one in named[:MAX_UNJUDGED_FILES] if isinstance(one, str)) if isinstance(named, list) else ()
    return replace(found, unjudged=line_number(result.get("unjudged")), unjudged_files=files, coverage=told)


def _wrong_members(result: Any) -> list[str]:
    """Returns the numbers that no later step could use. One in a finding makes its own citation MISSING, and no more."""
    rest = {name: value for name, value in result.items() if name != "findings"} if isinstance(result, dict) else {}
    return list(islice(wrong_numbers(rest, "result"), MAX_WRONG_NUMBERS))


def _read_notes(values: Any) -> list[str]:
    """Returns an agent's own notes. They are not findings: a note that cannot be read is ignored."""
    told = [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
    cleaned = (" ".join(_clean(text).split()) for text in told[:MAX_NOTES])
    return [text[:MAX_NOTE_CHARACTERS] for text in cleaned if text]


def _read_list(values: list[Any], told: list[str], step: str) -> Found:
    kept: dict[Finding, Finding] = {}
    notes: list[str] = []
    for index, value in enumerate(values[:MAX_FINDINGS]):
        try:
            finding = _read(value, step)
        except ResultError as error:
            notes.append(f"findings[{index}] was left out: {error}")
            continue
        kept.setdefault(finding, finding)
        if len(value.get("evidence") or ()) > MAX_EVIDENCE:
            notes.append(f"findings[{index}]: only its first {MAX_EVIDENCE} places were read")
    if values and not kept:
        which = "the only finding cannot" if len(values) == 1 else f"none of the {len(values)} findings can"
        raise ResultError(f"{which} be read; {notes[0]}", notes)
    if len(values) > MAX_FINDINGS:
        notes.insert(0, f"only the first {MAX_FINDINGS} of {len(values)} findings were read")
    return Found(tuple(kept.values()), len(values) - len(kept), tuple((*notes, *told)[:MAX_NOTES]))


def _read(value: Any, step: str) -> Finding:
    if not isinstance(value, dict):
        raise ResultError("it is not an object")
    severity = str(value.get("severity", "")).strip().lower()
    if severity not in SEVERITIES:
        raise ResultError(f"severity must be one of {', '.join(SEVERITIES)}")
    title = " ".join(_text(value, "title", MAX_TITLE_CHARACTERS).split())
    if not title:
        raise ResultError("it has no title")
    evidence = value.get("evidence") or []
    if not isinstance(evidence, list):
        raise ResultError("evidence must be a list")
    return Finding(
        severity=severity,
        title=title,
        claim=_text(value, "claim", MAX_CLAIM_CHARACTERS).strip(),
        category=" ".join(_text(value, "category", 40).lower().split()) or DEFAULT_CATEGORY,
        evidence=tuple(read_evidence(item) for item in evidence[:MAX_EVIDENCE]),
        step=step,
        remedy=" ".join(_text(value, "remedy", MAX_REMEDY_CHARACTERS).split()),
        rule=" ".join(_text(value, "rule", MAX_RULE_CHARACTERS).split()),
        help=_read_link(value.get("help")),
    )


def _read_link(value: Any) -> str:
    """Returns a link to an explanation; empty for any other than a short https link that every form of a report can show."""
    return value if isinstance(value, str) and len(value) <= MAX_LINK_CHARACTERS and _LINK.fullmatch(value) else ""


def read_evidence(value: Any) -> Evidence:
    """Returns an unchecked place; one that cannot be checked is missing, with the reason. Raises ResultError."""
    if not isinstance(value, dict) or not isinstance(value.get("path"), str) or not isinstance(value.get("quote"), str):
        raise ResultError("each evidence must be an object with path, start_line, end_line and quote")
    path, quote = _spelt(value["path"]), _as_decoded(value["quote"])
    start, last = line_number(value.get("start_line")), value.get("end_line")
    end = start if last is None else line_number(last)
    cited = Evidence(path[:MAX_PATH_CHARACTERS], start, max(start, end), quote[:MAX_QUOTE_CHARACTERS])
    reason = ""
    if not start or end < start:
        reason = (
            f"its lines are invalid, {_shown(value.get('start_line'))} to {_shown(last)}:"
            " the first line is 1, and the end is not before the start"
        )
    elif len(quote) > MAX_QUOTE_CHARACTERS:
        reason = f"its quote has more than {MAX_QUOTE_CHARACTERS} characters"
    elif not quote.strip():
        reason = QUOTES_NOTHING
    elif len(path) > MAX_PATH_CHARACTERS:
        reason = f"its path has more than {MAX_PATH_CHARACTERS} characters"
    return replace(cited, status="missing", reason=reason) if reason else cited


def _text(value: dict[str, Any], name: str, limit: int) -> str:
    text = value.get(name)
    if text is None:
        return ""
    if not isinstance(text, str):
        raise ResultError(f"{name} must be a string")
    cleaned = _clean(text)
    return cleaned if len(cleaned) <= limit else f"{cleaned[: limit - 1]}…"


def _shown(value: Any) -> str:
    return ("none" if value is None else _clean(repr(value)))[:40]


def _spelt(path: str) -> str:
    """Returns a path with bytes that are no UTF-8 in hexadecimal digits: agents get them as halves of characters."""
    try:
        return path.encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError:
        return _clean(path)


def _as_decoded(text: str) -> str:
    """Returns a quote with the sign for each byte that is no UTF-8, as the snapshot's files are read."""
    try:
        return text.encode(errors="surrogateescape").decode(errors="replace")
    except UnicodeEncodeError:
        return _clean(text)


def _clean(text: str) -> str:
    """Returns text with a UTF-8 form: JSON can spell halves of characters."""
    return text.encode(errors="replace").decode()
