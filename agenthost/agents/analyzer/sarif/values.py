"""Reads the parts of SARIF that were taken whole: a result, a rule, a place. What has another form than SARIF's is empty."""

import os
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..results import Result

MAX_RULE_CHARACTERS = 200
MAX_MESSAGE_CHARACTERS = 2000
MAX_PATH_CHARACTERS = 4096
MAX_HELP_CHARACTERS = 500
LEVELS = frozenset({"error", "warning", "note", "none"})
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


def result_of(value: Mapping[str, Any], bases: Mapping[str, str], tool: str) -> RawResult:
    """Returns a result, as far as it can be read without its rule."""
    path, start, end = place_of(value, bases)
    message, rule = table_of(value.get("message")), table_of(value.get("rule"))
    index = value.get("ruleIndex", rule.get("index"))
    level = text_in(value, "level")
    prints = table_of(value.get("partialFingerprints")) or table_of(value.get("fingerprints"))
    suppressed = value.get("suppressions")
    arguments = message.get("arguments")
    return RawResult(
        rule_id(text_in(value, "ruleId") or text_in(rule, "id"), tool),
        level if level in LEVELS else "",
        (text_in(message, "text") or text_in(message, "markdown"))[:MAX_MESSAGE_CHARACTERS],
        path,
        start,
        end,
        "",
        next((text[:200] for text in prints.values() if isinstance(text, str)), ""),
        index if type(index) is int else -1,
        text_in(message, "id")[:MAX_RULE_CHARACTERS],
        tuple(str(one)[:MAX_HELP_CHARACTERS] for one in arguments[:10]) if isinstance(arguments, list) else (),
        isinstance(suppressed, list)
        and any(text_in(table_of(one), "status") in {"", "accepted"} for one in suppressed),
    )


def rule_id(name: str, tool: str) -> str:
    """Returns a rule's id without the tool's own name, which some tools put before it, as `zizmor/unpinned-uses`."""
    return name.removeprefix(f"{tool}/")[:MAX_RULE_CHARACTERS] if tool else name[:MAX_RULE_CHARACTERS]


def place_of(value: Mapping[str, Any], bases: Mapping[str, str]) -> tuple[str, int, int]:
    """Returns the path and the lines of the first location; an empty path where it names no file."""
    locations = value.get("locations")
    first = table_of(locations[0]) if isinstance(locations, list) and locations else {}
    physical = table_of(first.get("physicalLocation"))
    artifact, region = table_of(physical.get("artifactLocation")), table_of(physical.get("region"))
    path = path_of(text_in(artifact, "uri"), bases.get(text_in(artifact, "uriBaseId"), ""))
    start = _number(region.get("startLine"))
    return path, start, max(start, _number(region.get("endLine")))


def path_of(uri: str, base: str = "") -> str:
    """Returns the path that a URI means: absolute, or relative to the root of what was looked at. Empty for other schemes."""
    if not uri or len(uri) > MAX_PATH_CHARACTERS:
        return ""
    try:
        whole = urllib.parse.urlsplit(uri)
        uri.encode()
    except ValueError:  # also of half a character, as JSON may hold one
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


def rule_of(table: Mapping[str, Any]) -> Rule:
    """Returns what the description of a rule tells."""
    summary = text_in(table_of(table.get("shortDescription")), "text") or text_in(
        table_of(table.get("fullDescription")), "text"
    )
    level = text_in(table_of(table.get("defaultConfiguration")), "level")
    messages = table_of(table.get("messageStrings"))
    return Rule(
        level if level in LEVELS else "",
        text_in(table, "helpUri")[:MAX_HELP_CHARACTERS],
        summary[:MAX_HELP_CHARACTERS],
        _weight(table_of(table.get("properties")).get("security-severity")),
        tuple(
            (name[:100], text_in(table_of(one), "text")[:MAX_HELP_CHARACTERS])
            for name, one in list(messages.items())[:5]
        ),
    )


def _weight(value: Any) -> float:
    try:
        weight = float(value)
    except (TypeError, ValueError):
        return -1.0
    return weight if 0 <= weight <= 10 else -1.0


def filled(text: str, arguments: Sequence[str]) -> str:
    """Returns a rule's message with the arguments of a result in the places of `{0}` and so on."""
    values = dict(enumerate(arguments))
    return _PLACEHOLDER.sub(lambda match: values.get(int(match[1]), match[0]), text)[:MAX_MESSAGE_CHARACTERS]


def table_of(value: Any) -> dict[str, Any]:
    """Returns an object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def text_in(table: Mapping[str, Any], key: str) -> str:
    """Returns the text of a member; empty where it has none."""
    value = table.get(key)
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int:
    """Returns the number of a line; 0 where there is none."""
    return value if type(value) is int and 0 < value <= 10_000_000 else 0
