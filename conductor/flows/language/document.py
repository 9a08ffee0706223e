"""Reads YAML (and so JSON) text into a tree that remembers its lines.

The data model is JSON's. YAML 1.1 reads `yes`, `012` or `2026-01-01` differently than a reader of the same flow in JSON would, so
plain scalars follow JSON (and `~`), and everything else is a string. Only merge keys (`<<`) are more than JSON: they are merged.
Tags are refused. Lines end as in every editor: YAML 1.1 also breaks them at U+0085, U+2028 and U+2029, which JSON has in strings.
It reads parser events, never composed objects. So it bounds depth, size and aliases while reading, and deep nesting or a bomb of
aliases costs no more than its text. It knows nothing of flows.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_DEPTH = 40
MAX_NODES = 50_000
MAX_TEXT_BYTES = 1024 * 1024

# libyaml's C parser is 20 times as fast as the pure one.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,40})\Z")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,4})?\Z")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}
_MERGE = "<<"
_LINE_END = re.compile(r"\r\n?|\n")
_BREAKS = "\u0085\u2028\u2029"
# Characters of the private area stand for them while YAML is read.
_PRIVATE = range(0xE000, 0xF8FF)
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# YAML has no surrogate pairs; JSON writes every character beyond the first plane as one.
_SURROGATES = re.compile(r"(\\\\)|\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")

# What mostly helps, by a part of what the parser says.
_REMEDIES = {
    "mapping values are not allowed": "A text that holds ': ' needs quotes; a line that goes on needs the right indentation",
    "did not find expected key": "Compare the indentation of this line, and the quotes, with the lines before it",
    "quoted scalar found unexpected end": "A quote is never closed",
}


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place: `line` of its key (or of itself), `text_line` where a scalar's own text begins.

    `source` is the text of a scalar that the author wrote without quotes, before it was read as a number or a word.
    """

    value: "dict[str, Node] | list[Node] | str | int | float | bool | None"
    line: int
    text_line: int
    source: str = ""

    def plain(self) -> Any:
        """Returns the value without places."""
        match self.value:
            case dict():
                return {key: node.plain() for key, node in self.value.items()}
            case list():
                return [node.plain() for node in self.value]
            case scalar:
                return scalar


class DocumentError(Exception):
    """The text is not a document. `line` is where."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text


@dataclass(slots=True)
class _Composer:
    """Makes nodes of events. `duplicates` collects repeated keys: the first one counts."""

    events: Iterator[Any]
    anchors: dict[str, Node] = field(default_factory=dict)
    duplicates: list[tuple[int, str]] = field(default_factory=list)
    nodes: int = 0
    restored: Mapping[int, str] = field(default_factory=dict)

    def node(self, event: Any, depth: int, key_line: int = 0) -> Node:
        line = _line_of(event)
        self._count(depth, line)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth, key_line or line)
        if event.tag not in (None, "!"):
            raise DocumentError(line, f"tags such as {event.tag} are not used here")
        value: Any
        match event:
            case yaml.MappingStartEvent():
                value = self._mapping(depth)
            case yaml.SequenceStartEvent():
                value = self._sequence(depth)
            case _:
                value = _scalar(event, self.restored)
        # The text of a block scalar begins on the line after its indicator.
        text_line = line + 1 if getattr(event, "style", None) in ("|", ">") else line
        source = event.value if isinstance(event, yaml.ScalarEvent) and not event.style else ""
        node = Node(value, key_line or line, text_line, source)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _mapping(self, depth: int) -> dict[str, Node]:
        members: dict[str, Node] = {}
        merged: Node | None = None
        for event in self._until(yaml.MappingEndEvent):
            line = _line_of(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise DocumentError(line, "a key must be a plain word. A text that begins with {{ needs quotes")
            key = event.value.translate(self.restored) if self.restored else event.value
            value = self.node(next(self.events), depth + 1, line)
            is_merge = key == _MERGE and not event.style
            if key in members or (is_merge and merged is not None):
                self.duplicates.append((line, key))
            elif is_merge:
                merged = value
            else:
                members[key] = value
        return members if merged is None else {**_merged(merged), **members}

    def _sequence(self, depth: int) -> list[Node]:
        return [self.node(event, depth + 1) for event in self._until(yaml.SequenceEndEvent)]

    def _until(self, end: type) -> Iterator[Any]:
        while not isinstance(event := next(self.events), end):
            yield event

    def _alias(self, event: Any, depth: int, line: int) -> Node:
        """Returns the node of an alias. Its values count again, so that a bomb of aliases is refused before it is built."""
        known = self.anchors.get(event.anchor)
        if known is None:
            # An anchor is known once its node is complete, so a node that holds itself ends here too.
            raise DocumentError(line, f"there is no complete value &{event.anchor} for the alias *{event.anchor}")
        self._count_again(known, depth, line)
        return Node(known.value, line, known.text_line, known.source)

    def _count_again(self, node: Node, depth: int, line: int) -> None:
        members = node.value.values() if isinstance(node.value, dict) else node.value
        if isinstance(node.value, (dict, list)) and not isinstance(members, (str, int, float, bool, type(None))):
            for member in members:
                self._count(depth + 1, line)
                self._count_again(member, depth + 1, line)

    def _count(self, depth: int, line: int) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise DocumentError(line, f"this has more than {MAX_NODES} values")
        if depth > MAX_DEPTH:
            raise DocumentError(line, f"this is nested more than {MAX_DEPTH} deep")


def read_document(data: bytes) -> tuple[Node, list[tuple[int, str]]]:
    """Returns the document in `data`, and repeated keys with their lines. Raises DocumentError."""
    text = _decoded(data)
    if (found := _CONTROL.search(text)) is not None:
        line = len(_LINE_END.findall(text, 0, found.start())) + 1
        raise DocumentError(line, _forbidden(ord(found[0])))
    hidden, restored = _without_breaks(text)
    try:
        return _composed(yaml.parse(_yaml_from_json(hidden), Loader=_Loader), restored)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        if "nesting depth" in (error.problem or ""):  # libyaml's own limit, which is reached before ours
            raise DocumentError(line, f"this is nested more than {MAX_DEPTH} deep") from error
        problem = " ".join(part for part in (error.context, error.problem) if part)
        raise DocumentError(line, f"this is not YAML: {problem}{_remedy(problem, text, line)}") from error
    except yaml.YAMLError as error:
        raise DocumentError(1, f"this is not YAML: {str(error).splitlines()[0]}") from error
    except RecursionError as error:
        raise DocumentError(1, f"this is nested more than {MAX_DEPTH} deep") from error


def _remedy(problem: str, text: str, line: int) -> str:
    """Returns what mostly helps against a problem of the parser; empty where that is not known."""
    lines = _LINE_END.split(text)
    if "cannot start any token" in problem and line <= len(lines) and lines[line - 1][:1].isspace():
        return ". Indent with spaces, not with tabs" if "\t" in lines[line - 1] else ". Put the text in quotes"
    return next((f". {remedy}" for part, remedy in _REMEDIES.items() if part in problem), "")


def _merged(node: Node) -> dict[str, Node]:
    """Returns the members that a merge key brings: of several objects, an earlier one counts first."""
    several = node.value if isinstance(node.value, list) else [node]
    members: dict[str, Node] = {}
    for each in reversed(several):
        if not isinstance(each.value, dict):
            raise DocumentError(node.line, "<< merges an object, or a list of objects; quote it where it is a name")
        members |= each.value
    return members


def _forbidden(code: int) -> str:
    escape = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return f"this has the control character U+{code:04X}, which YAML forbids; remove it, or write {escape} in double quotes"


def _without_breaks(text: str) -> tuple[str, Mapping[int, str]]:
    """Returns the text with other characters for what only YAML takes for the end of a line, and how to restore them."""
    breaks = [character for character in _BREAKS if character in text]
    unused = (code for code in _PRIVATE if chr(code) not in text)
    replaced = {ord(character): code for character, code in zip(breaks, unused, strict=False)}
    return text.translate(replaced), {code: chr(character) for character, code in replaced.items()}


def _composed(events: Iterator[Any], restored: Mapping[int, str]) -> tuple[Node, list[tuple[int, str]]]:
    composer = _Composer(events, restored=restored)
    root: Node | None = None
    for event in events:
        match event:
            case yaml.StreamStartEvent() | yaml.StreamEndEvent() | yaml.DocumentEndEvent():
                continue
            case yaml.DocumentStartEvent():
                if root is not None:
                    raise DocumentError(_line_of(event), "this file holds more than one document")
            case _:
                root = composer.node(event, 0)
    return root or Node(None, 1, 1), composer.duplicates


def _line_of(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _decoded(data: bytes) -> str:
    if len(data) > MAX_TEXT_BYTES:
        raise DocumentError(1, f"this is larger than {MAX_TEXT_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DocumentError(line, f"this is not UTF-8: {error.reason}") from error


def _yaml_from_json(text: str) -> str:
    """Returns JSON text with characters in place of surrogate pairs, and any other text unchanged."""
    if not text.lstrip().startswith("{") or "\\u" not in text:
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return _SURROGATES.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    if match[1]:
        return match[1]
    return chr(0x10000 + ((int(match[2], 16) - 0xD800) << 10) + (int(match[3], 16) - 0xDC00))


def _scalar(event: Any, restored: Mapping[int, str]) -> str | int | float | bool | None:
    text: str = event.value.translate(restored) if restored else event.value
    if event.style:  # quoted, or a block; a plain scalar has none or an empty one, depending on the parser
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    if _NUMBER.match(text) and math.isfinite(number := float(text)):
        return number
    return text
