"""Finds code that is kept as identical files in several packages: a change of one must be made in all of them."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from ...files import is_tooling
from ...reading.snapshot import SourceText
from ..finding import Evidence, Finding, Severity, cite, named
from ..survey import Survey

MIN_LINES = 20
MIN_COPIED_LINES = 60
MAX_COPIES_SHOWN = 4
MAX_GROUPS_SHOWN = 5
# Folders of what is copied on purpose: versions of an interface, templates, and what tools write once.
_IN_PLACE = re.compile(r"(v\d\w*|templates?-.*|migrations|alembic|versions|locales|lang|i18n|stubs)$", re.IGNORECASE)


def find_copies(survey: Survey) -> Iterator[Finding]:
    """Yields one finding for all groups of copies: the same name and text in different folders."""
    groups: dict[tuple[str, str], list[SourceText]] = {}
    for path in survey.product:
        pure = PurePosixPath(path)
        source = survey.snapshot.read(path)
        if not source or is_tooling(path) or ".config." in pure.name or any(map(_IN_PLACE.match, pure.parts)):
            continue
        if sum(map(bool, map(str.strip, source.lines))) >= MIN_LINES:
            digest = hashlib.sha256(source.text.encode("utf-8", "replace")).hexdigest()
            groups.setdefault((pure.name, digest), []).append(source)
    copied = [sources for sources in groups.values() if len(sources) > 1]
    if sum(map(_copied_lines, copied)) >= MIN_COPIED_LINES:
        copied.sort(key=lambda sources: (-len(sources) * len(sources[0].lines), sources[0].path))
        yield _finding(copied)


def _finding(copied: Sequence[Sequence[SourceText]]) -> Finding:
    first = copied[0]
    lines = sum(map(_copied_lines, copied))
    told = "; ".join(_told(sources) for sources in copied[:MAX_GROUPS_SHOWN])
    more = f"; and {len(copied) - MAX_GROUPS_SHOWN} more" if len(copied) > MAX_GROUPS_SHOWN else ""
    name = PurePosixPath(first[0].path).name
    return Finding(
        category="structure",
        severity=Severity.LOW,
        title=f"The same file is kept {len(first)} times: {name}"
        if len(copied) == 1
        else f"{len(copied)} files are kept in several copies, {name} {len(first)} times",
        claim=f"Byte for byte the same: {told}{more}. {lines:,} lines are copies, and a fix in one must be made in all.",
        remedy="Keep one in a package that the others depend on, or let a check compare them.",
        rule="lens:copied-file",
        evidence=tuple(
            item
            for sources in copied[:MAX_GROUPS_SHOWN]
            for source in sources[:MAX_COPIES_SHOWN]
            if (item := _opening(source))
        ),
        weight=len(copied),
    )


def _copied_lines(sources: Sequence[SourceText]) -> int:
    return (len(sources) - 1) * len(sources[0].lines)


def _told(sources: Sequence[SourceText]) -> str:
    paths = ", ".join(f"`{source.path}`" for source in sources[:MAX_COPIES_SHOWN])
    more = f" and {named(len(sources) - MAX_COPIES_SHOWN, 'more place')}" if len(sources) > MAX_COPIES_SHOWN else ""
    return f"{paths}{more}"


def _opening(source: SourceText) -> Evidence | None:
    """Quotes the first lines that hold anything: the same in every copy."""
    start = next((number for number, line in enumerate(source.lines, 1) if line.strip()), 1)
    return cite(source.path, source.lines, start, start + 4)
