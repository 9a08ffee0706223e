"""Reads JSON that a model has almost written, and findings whose fields have other names. It guesses no substance."""

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

MAX_LITERAL_CHARACTERS = 64 * 1024
# An unclosed text or comment reaches to the end, so that no pattern walks over the same characters twice.
_STRING_OR_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_STRING_OR_COMMA = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)|,(?=\s*[}\]])', re.DOTALL)
_BAD_ESCAPE = re.compile(r'\\(?!["\\/bfnrtu])|\\u(?![0-9a-fA-F]{4})')
_CURLY = str.maketrans({"\u201c": '"', "\u201d": '"', "\u201f": '"'})
_WIDE = str.maketrans(
    {"\uff1a": ":", "\uff0c": ",", "\u3001": ",", "\uff5b": "{", "\uff5d": "}", "\uff3b": "[", "\uff3d": "]"}
)
_OUTSIDE = re.compile(r'("(?:[^"\\]|\\.)*(?:"|\Z))', re.DOTALL)
_LINES = re.compile(r"[A-Za-z #]{0,8}(\d{1,7})(?:\s*[-\u2013,:]\s*L?(\d{1,7}))?[^\d-]{0,4}")
_SEVERITIES = {
    "blocker": "critical", "severe": "high", "error": "high", "major": "high", "warning": "medium", "moderate": "medium",
    "minor": "low", "note": "info", "informational": "info", "information": "info", "none": "info",
}  # fmt: skip


def lenient_value(text: str) -> Any:
    """Returns the JSON of a text, or of what remains when comments, loose commas and bad escapes are mended; else None."""
    for mend in (_as_it_is, _mended, _with_straight_quotes):
        try:
            value = json.loads(mend(text), strict=False)
        except (ValueError, RecursionError):
            continue
        return lenient_value(value) if isinstance(value, str) and value[:1] in {"{", "["} else value
    return _literal(text)


def _as_it_is(text: str) -> str:
    return text.strip()


def _mended(text: str) -> str:
    plain = _STRING_OR_COMMENT.sub(lambda match: match[0] if match[0][0] == '"' else "", text.strip())
    plain = _STRING_OR_COMMA.sub(lambda match: match[0] if match[0][0] == '"' else "", plain)
    return _BAD_ESCAPE.sub(lambda match: "\\" + match[0], plain)


def _with_straight_quotes(text: str) -> str:
    """Returns the text with straight quotes, and without the wide punctuation that Chinese has, outside of its texts."""
    parts = _OUTSIDE.split(text.translate(_CURLY))
    return _mended("".join(part if index % 2 else part.translate(_WIDE) for index, part in enumerate(parts)))


def _literal(text: str) -> Any:
    """Returns the JSON of a dictionary as Python writes it; None for anything else.

    Python's literals hold more than JSON does: sets, bytes, and numbers in hexadecimal digits that no decimal can spell.
    """
    if len(text) > MAX_LITERAL_CHARACTERS:
        return None
    try:
        value = json.loads(json.dumps(ast.literal_eval(text.strip())))
    except (TypeError, ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def normal_finding(value: Any) -> Any:
    """Returns a finding with the names of our form: models call a path a file, and a quote a snippet."""
    if not isinstance(value, Mapping):
        return value
    plain = {str(name).lower(): content for name, content in value.items()}
    severity = str(plain.get("severity", "")).strip().lower()
    plain["severity"] = _SEVERITIES.get(severity, severity)
    _rename(plain, "title", "name", "summary")
    _rename(plain, "claim", "description", "explanation", "detail", "details", "message")
    _rename(plain, "remedy", "fix", "recommendation", "suggestion", "suggested_fix")
    evidence = plain.get("evidence", plain.get("location", plain.get("locations")))
    if evidence is None and ("path" in plain or "file" in plain):
        evidence = plain
    places = [evidence] if isinstance(evidence, Mapping) else evidence
    plain["evidence"] = [_normal_place(each) for each in places] if isinstance(places, list) else places
    wanted = ("severity", "title", "claim", "category", "remedy", "evidence")
    return {name: plain[name] for name in wanted if plain.get(name) is not None}


def _normal_place(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    plain = {str(name).lower(): content for name, content in value.items()}
    _rename(plain, "path", "file", "filename", "file_path")
    _rename(plain, "quote", "snippet", "code", "text")
    if isinstance(both := plain.get("lines"), list) and len(both) in {1, 2}:
        plain["lines"], plain["line_end"] = both[0], both[-1]
    _rename(plain, "start_line", "line", "line_number", "start", "lines", "line_start")
    _rename(plain, "end_line", "end", "line_end")
    start, end = _lines(plain.get("start_line"))
    last, _ = _lines(plain.get("end_line"))
    return {
        "path": plain.get("path"),
        "quote": plain.get("quote"),
        "start_line": start,
        "end_line": (end or start) if last is None else last,  # one that is no number stays, and is told
    }


def _lines(value: Any) -> tuple[Any, Any]:
    """Returns the numbers in `12`, `"12"`, `"L12"` or `"12-14"`; None for what is missing."""
    if isinstance(value, str) and (match := _LINES.fullmatch(value.strip())):
        return int(match[1]), int(match[2]) if match[2] else None
    return value, None


def _rename(table: dict[str, Any], name: str, *others: str) -> None:
    if table.get(name) is None:
        table[name] = next((table[other] for other in others if table.get(other) is not None), None)
