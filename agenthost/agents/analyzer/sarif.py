"""Reads SARIF 2.1.0 as a stream: results one by one, in any order of a run's members.

Rules may come after the results that name them, so `settled` completes a result once its document was read. Members that are not
looked at are passed over, and so is a result that is too large to be one.
"""

import os
import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .pieces import BrokenError, Pieces, Read
from .results import Result

MAX_RULES = 20_000
MAX_RULE_CHARACTERS = 200
MAX_MESSAGE_CHARACTERS = 2000
MAX_PATH_CHARACTERS = 4096
MAX_HELP_CHARACTERS = 500
MAX_SKIPPED = 10_000
MAX_COMPLAINTS = 5
LEVELS = frozenset({"error", "warning", "note", "none"})
NO_FINDING = frozenset({"pass", "notApplicable", "informational"})  # kinds of results
_PLACEHOLDER = re.compile(r"\{(\d{1,2})\}")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a tool's document tells of a rule."""

    level: str = ""
    help: str = ""
    summary: str = ""
    weight: float = -1.0  # its `security-severity`, from 0 to 10
    messages: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RawResult(Result):
    """A result as it stands in the document. `message_id` and `rule_index` lead to its rule."""

    rule_index: int = -1
    message_id: str = ""
    arguments: tuple[str, ...] = ()
    is_suppressed: bool = False  # by a comment in the file, or a setting of the repository


class Sarif:
    """A document, and what was seen in it so far."""

    def __init__(self, read: Read, tool: str = "") -> None:
        self._pieces, self._tool = Pieces(read), tool
        self._bases: dict[str, str] = {}
        self._order: list[str] = []  # of the driver's rules, by index
        self.rules: dict[str, Rule] = {}
        self.version = ""
        self.skipped: list[str] = []  # paths that the tool says it passed over
        self.complaints: list[str] = []  # of the tool about itself
        self.unread = 0  # results that could not be read
        self.runs = 0

    def results(self) -> Iterator[RawResult]:
        """Yields what the document holds; raises BrokenError where it ends early or is no SARIF."""
        if self._pieces.peek() != "{":
            raise BrokenError("it is no JSON object")
        for key in self._pieces.members():
            if key == "runs" and self._pieces.peek() == "[":
                for _ in self._pieces.items():
                    yield from self._run()
            else:
                self._pieces.skip()
        if not self.runs:
            raise BrokenError("it has no runs")

    def settled(self, result: RawResult) -> Result:
        """Returns a result with what its rule says: level, help, message. Of use when its document was read."""
        name = result.rule
        if not name and 0 <= result.rule_index < len(self._order):
            name = self._order[result.rule_index]
        rule = self.rules.get(name) or self.rules.get(name.partition("/")[0]) or Rule()
        message = result.message or _filled(dict(rule.messages).get(result.message_id, ""), result.arguments)
        return Result(
            name or "unnamed",
            result.level or rule.level or "warning",
            message or rule.summary,
            result.path,
            result.start_line,
            result.end_line,
            result.help or rule.help,
            result.fingerprint,
        )

    def rule_of(self, result: Result) -> Rule:
        """Returns what the document tells of a settled result's rule."""
        return self.rules.get(result.rule, Rule())

    def _run(self) -> Iterator[RawResult]:
        if self._pieces.peek() != "{":
            self._pieces.skip()
            return
        self.runs += 1
        self._order, self._bases = [], {}
        for key in self._pieces.members():
            is_list = self._pieces.peek() == "["
            if key == "results" and is_list:
                yield from self._results()
            elif key == "tool":
                self._components()
            elif key == "originalUriBaseIds":
                self._bases = {name: _text(_table(base), "uri") for name, base in _table(self._pieces.take()).items()}
            elif key == "invocations" and is_list:
                for _ in self._pieces.items():
                    self._invocation()
            else:
                self._pieces.skip()

    def _results(self) -> Iterator[RawResult]:
        for _ in self._pieces.items():
            value = self._pieces.take()
            if not isinstance(value, dict):
                self.unread += 1
            elif _text(value, "kind") not in NO_FINDING and value.get("baselineState") != "absent":
                yield _result(value, self._bases, self._tool)

    def _components(self) -> None:
        if self._pieces.peek() != "{":
            self._pieces.skip()
            return
        for key in self._pieces.members():
            if key == "driver":
                self._component(is_driver=True)
            elif key == "extensions" and self._pieces.peek() == "[":
                for _ in self._pieces.items():
                    self._component(is_driver=False)
            else:
                self._pieces.skip()

    def _component(self, *, is_driver: bool) -> None:
        if self._pieces.peek() != "{":
            self._pieces.skip()
            return
        for key in self._pieces.members():
            if key == "rules" and self._pieces.peek() == "[":
                for _ in self._pieces.items():
                    self._note_rule(_table(self._pieces.take()), is_driver=is_driver)
            elif is_driver and key in {"version", "semanticVersion"}:
                told = self._pieces.take()
                self.version = self.version or (told[:100] if isinstance(told, str) else "")
            else:
                self._pieces.skip()

    def _note_rule(self, table: Mapping[str, Any], *, is_driver: bool) -> None:
        name = _rule_id(_text(table, "id"), self._tool)
        if is_driver and len(self._order) < MAX_RULES:
            self._order.append(name)
        if name and len(self.rules) < MAX_RULES:
            self.rules.setdefault(name, _rule(table))

    def _invocation(self) -> None:
        if self._pieces.peek() != "{":
            self._pieces.skip()
            return
        for key in self._pieces.members():
            if key.startswith("tool") and key.endswith("Notifications") and self._pieces.peek() == "[":
                for _ in self._pieces.items():
                    self._note(_table(self._pieces.take()))
            else:
                self._pieces.skip()

    def _note(self, notification: Mapping[str, Any]) -> None:
        """Takes a notification that something was not judged: of a file, or of the tool itself."""
        if notification.get("level", "warning") != "error":
            return
        path, _, _ = _place(notification, self._bases)
        if path and len(self.skipped) < MAX_SKIPPED:
            self.skipped.append(path)
        elif not path and len(self.complaints) < MAX_COMPLAINTS:
            self.complaints.append(_text(_table(notification.get("message")), "text")[:300])


def _result(value: Mapping[str, Any], bases: Mapping[str, str], tool: str) -> RawResult:
    path, start, end = _place(value, bases)
    message, rule = _table(value.get("message")), _table(value.get("rule"))
    index = value.get("ruleIndex", rule.get("index"))
    level = _text(value, "level")
    prints = _table(value.get("partialFingerprints")) or _table(value.get("fingerprints"))
    suppressed = value.get("suppressions")
    arguments = message.get("arguments")
    return RawResult(
        _rule_id(_text(value, "ruleId") or _text(rule, "id"), tool),
        level if level in LEVELS else "",
        (_text(message, "text") or _text(message, "markdown"))[:MAX_MESSAGE_CHARACTERS],
        path,
        start,
        end,
        "",
        next((text[:200] for text in prints.values() if isinstance(text, str)), ""),
        index if type(index) is int else -1,
        _text(message, "id")[:MAX_RULE_CHARACTERS],
        tuple(str(one)[:MAX_HELP_CHARACTERS] for one in arguments[:10]) if isinstance(arguments, list) else (),
        isinstance(suppressed, list) and any(_text(_table(one), "status") in {"", "accepted"} for one in suppressed),
    )


def _rule_id(name: str, tool: str) -> str:
    """Returns a rule's id without the tool's own name, which some tools put before it, as `zizmor/unpinned-uses`."""
    return name.removeprefix(f"{tool}/")[:MAX_RULE_CHARACTERS] if tool else name[:MAX_RULE_CHARACTERS]


def _place(value: Mapping[str, Any], bases: Mapping[str, str]) -> tuple[str, int, int]:
    """Returns the path and the lines of the first location; an empty path where it names no file."""
    locations = value.get("locations")
    first = _table(locations[0]) if isinstance(locations, list) and locations else {}
    physical = _table(first.get("physicalLocation"))
    artifact, region = _table(physical.get("artifactLocation")), _table(physical.get("region"))
    path = path_of(_text(artifact, "uri"), bases.get(_text(artifact, "uriBaseId"), ""))
    start = _number(region.get("startLine"))
    return path, start, max(start, _number(region.get("endLine")))


def path_of(uri: str, base: str = "") -> str:
    """Returns the path that a URI means: absolute, or relative to the root of what was looked at. Empty for other schemes."""
    if not uri or len(uri) > MAX_PATH_CHARACTERS:
        return ""
    try:
        whole = urllib.parse.urlsplit(uri)
    except ValueError:
        return ""
    if whole.scheme == "file" or (not whole.scheme and not whole.netloc):
        text = uri.removeprefix("file:")
        if text.startswith("//"):
            text = "/" + text[2:].partition("/")[2]
        path = os.fsdecode(urllib.parse.unquote_to_bytes(text))
    elif ":" in uri.partition("/")[0] and "//" not in uri:  # a name with a colon, which its tool did not encode
        path = uri
    else:
        return ""
    if "\0" in path:
        return ""
    return path if path.startswith("/") or not base else f"{path_of(base).rstrip('/')}/{path}".removeprefix("./")


def _rule(table: Mapping[str, Any]) -> Rule:
    summary = _text(_table(table.get("shortDescription")), "text") or _text(
        _table(table.get("fullDescription")), "text"
    )
    level = _text(_table(table.get("defaultConfiguration")), "level")
    messages = _table(table.get("messageStrings"))
    return Rule(
        level if level in LEVELS else "",
        _text(table, "helpUri")[:MAX_HELP_CHARACTERS],
        summary[:MAX_HELP_CHARACTERS],
        _weight(_table(table.get("properties")).get("security-severity")),
        tuple(
            (name[:100], _text(_table(one), "text")[:MAX_HELP_CHARACTERS]) for name, one in list(messages.items())[:5]
        ),
    )


def _weight(value: Any) -> float:
    try:
        weight = float(value)
    except (TypeError, ValueError):
        return -1.0
    return weight if 0 <= weight <= 10 else -1.0


def _filled(text: str, arguments: Sequence[str]) -> str:
    values = dict(enumerate(arguments))
    return _PLACEHOLDER.sub(lambda match: values.get(int(match[1]), match[0]), text)[:MAX_MESSAGE_CHARACTERS]


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int:
    """Returns the number of a line; 0 where there is none."""
    return value if type(value) is int and 0 < value <= 10_000_000 else 0
