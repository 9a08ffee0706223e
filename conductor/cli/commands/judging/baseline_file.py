"""Baseline files: the findings that people have looked at and dismissed, each with a reason. Made for hands and for diffs.

They are YAML, or JSON where the name ends so. Findings are known by their fingerprints; severity, title and path are for people.
"""

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conductor.cli.commands.judging.policy import Finding
from conductor.cli.text.failure import CommandError
from servicekit.printing.terminal_text import one_line, printable

if TYPE_CHECKING:
    from conductor.flows.language.document import Node

VERSION = 1
MAX_BYTES = 1024 * 1024
MAX_ENTRIES = 5_000
MAX_REASON_CHARACTERS = 500
MAX_FINGERPRINT_CHARACTERS = 64
SHOWN_PROBLEMS = 10
HEAD = """\
# Findings that were looked at and are left alone: `--fail-on` does not count them.
# Say why in each reason. Delete an entry to see its finding again.
"""
MAX_PLACES_DIGITS = 10
_FIELDS = ("fingerprint", "severity", "title", "path", "places", "reason")


@dataclass(frozen=True, slots=True)
class Entry:
    """A finding that was dismissed, and why. `places` is how many a folded one has, in digits; empty for any other."""

    fingerprint: str
    reason: str
    severity: str = ""
    title: str = ""
    path: str = ""
    places: str = ""

    def has_grown(self, places: int) -> bool:
        """Returns whether a finding has more places than this entry knows."""
        return bool(self.places) and places > int(self.places)


def entry_of(finding: Finding, reason: str) -> Entry:
    """Returns the entry for a finding of a run."""
    severity = Finding.Severity.Name(finding.severity).removeprefix("SEVERITY_").lower()
    path = one_line(finding.evidence[0].path, 300) if finding.evidence else ""
    places = str(finding.total) if finding.total else ""
    return Entry(finding.fingerprint, reason, severity, one_line(finding.title, 200), path, places)


def read_baseline(path: Path) -> dict[str, Entry]:
    """Returns the entries of a file by their fingerprints; raises a CommandError that names what is wrong, and its line."""
    from conductor.flows.library.layers import read_file

    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise CommandError(f"--baseline: {path} is no file but a pipe or a device; name a file")
        data = read_file(path, MAX_BYTES)
    except OSError as error:
        raise CommandError(f"--baseline: {path}: {error.strerror or error}") from error
    return parse_baseline(data, str(path))


def parse_baseline(data: bytes, path: str) -> dict[str, Entry]:
    """Returns the entries in the text of a baseline file."""
    from conductor.flows.language.document import DocumentError, read_document

    if len(data) > MAX_BYTES:
        raise CommandError(f"{path}: a baseline holds at most {MAX_BYTES} bytes")
    entries: dict[str, Entry] = {}
    try:
        node, repeated = read_document(data)
        problems = [(line, f"{key} is given twice") for line, key in repeated]
        problems += _problems(node, entries)
    except DocumentError as error:
        problems = [(error.line, error.text)]
    if problems:
        shown = [printable(f"{path}:{line}: {text}") for line, text in sorted(problems)[:SHOWN_PROBLEMS]]
        more = len(problems) - len(shown)
        lines = (*shown, *([f"and {more} more"] if more else []), "write one:  conductor baseline write RUN FILE")
        raise CommandError(f"{path} is no baseline", lines=lines)
    return entries


def _problems(node: "Node", entries: dict[str, Entry]) -> Iterator[tuple[int, str]]:
    """Yields what is wrong with a document; puts what is right into `entries`."""
    if not isinstance(node.value, dict):
        yield node.line, "a baseline is an object with `version` and `findings`"
        return
    yield from ((each.line, f"there is no field {key}") for key, each in node.value.items() if key not in _TOP)
    version, listed = node.value.get("version"), node.value.get("findings")
    if version is not None and version.value != VERSION:
        yield version.line, f"version is {version.plain()!r}; this conductor reads version {VERSION}"
    if listed is None or not isinstance(listed.value, list):
        yield (listed or node).line, "`findings` must be a list"
        return
    if len(listed.value) > MAX_ENTRIES:
        yield listed.line, f"there are {len(listed.value)} findings; at most {MAX_ENTRIES} are read"
        return
    for each in listed.value:
        yield from _entry_problems(each, entries)


_TOP = ("version", "findings")


def _entry_problems(node: "Node", entries: dict[str, Entry]) -> Iterator[tuple[int, str]]:
    if not isinstance(node.value, dict):
        yield node.line, "each finding is an object with `fingerprint` and `reason`"
        return
    yield from ((each.line, f"there is no field {key}") for key, each in node.value.items() if key not in _FIELDS)
    values = {key: _text(each) for key, each in node.value.items() if key in _FIELDS}
    yield from ((node.value[key].line, f"{key} must be text") for key, value in values.items() if value is None)
    texts = {key: value.strip() for key, value in values.items() if value is not None}
    fingerprint, reason = texts.get("fingerprint", ""), texts.get("reason", "")
    if not fingerprint or len(fingerprint) > MAX_FINGERPRINT_CHARACTERS:
        yield node.line, f"`fingerprint` must have 1 to {MAX_FINGERPRINT_CHARACTERS} characters"
    if not reason or len(reason) > MAX_REASON_CHARACTERS:
        yield node.line, f"`reason` must say why, in 1 to {MAX_REASON_CHARACTERS} characters"
    places = texts.get("places", "")
    if places and not (places.isascii() and places.isdigit() and len(places) <= MAX_PLACES_DIGITS):
        yield node.line, "`places` must be a whole number"
        return
    if fingerprint in entries:
        yield node.line, f"{one_line(fingerprint, 64)} stands here twice"
    entries[fingerprint] = Entry(**{"fingerprint": "", "reason": "", **texts})


def _text(node: "Node") -> str | None:
    """Returns a scalar as its author wrote it: a fingerprint of digits alone is no number."""
    if isinstance(node.value, str) or node.source:
        return node.source or str(node.value)
    return None


def write_baseline(path: Path, entries: Iterable[Entry]) -> None:
    """Writes a baseline in a fixed order: whole, or not at all."""
    text = _rendered(
        sorted(entries, key=lambda each: (each.path, each.title, each.fingerprint)), path.suffix == ".json"
    )
    # An unpredictable name: the folder is often a repository of other people, whose links may lead elsewhere.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise CommandError(f"{path} cannot be written: {error.strerror}", code=1) from error


def _rendered(entries: Iterable[Entry], is_json: bool) -> str:  # noqa: FBT001
    facts: list[Mapping[str, str]] = [
        {name: value for name in _FIELDS if (value := getattr(each, name))} for each in entries
    ]
    if is_json:
        return json.dumps({"version": VERSION, "findings": facts}, indent=2, ensure_ascii=False) + "\n"
    listed = "".join(
        f"  {'- ' if number == 0 else '  '}{name}: {json.dumps(value, ensure_ascii=False)}\n"
        for each in facts
        for number, (name, value) in enumerate(each.items())
    )
    return f"{HEAD}version: {VERSION}\nfindings:{chr(10) + listed if listed else ' []' + chr(10)}"
