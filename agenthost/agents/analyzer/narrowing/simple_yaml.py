"""Reads the plain part of YAML that configuration of tools is written in: nested tables, lists of words, words.

Whatever else stands there (anchors, texts over several lines, lists of tables) is passed over. Words stay words: `true` is "true".
"""

import re
from typing import Any

MAX_LINES = 5_000
MAX_DEPTH = 8
_KEY = re.compile(r"(?P<key>[^\s:#'\"\[\]{}&*!|>-][^:#'\"\[\]{}]*|'[^']*'|\"[^\"]*\")\s*:(?:\s+(?P<value>.*))?")


def read_simple_yaml(text: str) -> dict[str, Any]:
    """Returns the table of a text; empty where it is none."""
    lines = [
        (len(line) - len(line.lstrip(" ")), line.strip()) for line in text.splitlines()[:MAX_LINES] if _counts(line)
    ]
    table, _ = _block(lines, 0, 0)
    return table if isinstance(table, dict) else {}


def _counts(line: str) -> bool:
    return (
        bool(line.strip())
        and not line.lstrip().startswith(("#", "---", "%"))
        and "\t" not in line[: len(line) - len(line.lstrip())]
    )


def _block(lines: list[tuple[int, str]], at: int, depth: int) -> tuple[Any, int]:
    """Returns the value that begins at a line, and where the next one begins."""
    indent = lines[at][0] if at < len(lines) else 0
    table: dict[str, Any] = {}
    words: list[str] = []
    while at < len(lines) and lines[at][0] >= indent:
        here, line = lines[at]
        at += 1
        if here > indent:
            continue  # belongs to something that is passed over
        if line == "-" or line.startswith("- "):
            words += _word(line[1:])
        elif match := _KEY.fullmatch(line):
            table[_unquoted(match["key"])], at = _value(lines, at, (here, match["value"] or ""), depth)
    return (words if words and not table else table), at


def _value(lines: list[tuple[int, str]], at: int, key: tuple[int, str], depth: int) -> tuple[Any, int]:
    indent, text = key[0], _bare(key[1])
    if text.startswith("[") and text.endswith("]"):
        return [word for part in text[1:-1].split(",") for word in _word(part)], at
    if text or at >= len(lines) or depth >= MAX_DEPTH:
        return _unquoted(text), at
    is_deeper = lines[at][0] > indent or (lines[at][0] == indent and lines[at][1].startswith("-"))
    if not is_deeper:
        return "", at
    if lines[at][0] == indent:
        return _flat_list(lines, at)
    return _block(lines, at, depth + 1)


def _flat_list(lines: list[tuple[int, str]], at: int) -> tuple[list[str], int]:
    """Returns a list whose dashes stand below the key itself."""
    indent, words = lines[at][0], list[str]()
    while at < len(lines) and lines[at][0] == indent and lines[at][1].startswith("-"):
        words += _word(lines[at][1][1:])
        at += 1
    return words, at


def _word(text: str) -> list[str]:
    word = _unquoted(_bare(text.strip()))
    return [word] if word and not word.startswith(("{", "[", "&", "*", "|", ">")) else []


def _bare(text: str) -> str:
    """Returns a text without the comment behind it."""
    return re.sub(r"(^|\s)#.*$", "", text).strip() if not text.startswith(("'", '"')) else text


def _unquoted(text: str) -> str:
    match = re.match(r"'([^']*)'|\"([^\"]*)\"", text)
    return (match[1] or match[2] or "") if match else text.strip()
