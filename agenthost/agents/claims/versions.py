"""Finds documents, translated ones too, that promise another version of a language than the nearest manifest requires."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import PurePosixPath

from ..files import is_test, is_vendored
from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey

RULE = "lens:two-requirements"
_DOCUMENT = re.compile(
    r"(?i)(^|/)(readme|contributing|install\w*|develop\w*|hacking|building)\b[\w.-]*\.(md|rst|txt|adoc)$"
)
# A line that says what is needed to run the project: by its words, as an item of a list, or in another script.
_NEEDED = re.compile(
    r"(?i)requires?\b|required|\bneed(s|ed)?\b|minimum|supported|prerequisit|runs? on|must|you use"
    r"|[\u0430-\u044f\u3041-\u9fff\uac00-\ud7a3]"
)
# Such a line is about the whole project below the title, and below headings of these words.
_HEADING = re.compile(r"(#{1,6})\s+(.*)")
_SECTION = re.compile(
    r"(?i)requirement|prerequisit|install|set-? ?up|getting started|quick ?start|supported|compatib|version|develop"
    r"|[\u0430-\u044f\u3041-\u9fff\uac00-\ud7a3]"
)
# What one command, option or feature needs.
_PART = re.compile(
    r"(?i)`[^`]*[\s-][^`]*`|--\w|\b(if|when|for|feature|optional|experimental|only|to (use|run|enable|generate))\b"
)
_BUILDS = re.compile(r"(?i)from source|\b(build|compile|install)\b")
_NOTE = re.compile(r"\s*([|¹²³⁴⁵⁶⁷⁸⁹†‡]|\*\S)")  # of a table, or below one: it is about one feature
_NEWER = r"(?:\+|,? (?:and|or) (?:above|newer|later|higher|up)|\s*(?:以上|以降|이상|или выше|или новее))"
_LINK = r"\]?(?:\([^)]*\))?"
_VERSION = rf"{_LINK}\s+(?:version\s+)?\[?(?:v?(\d+(?:\.\d+)?)(?:\.\d+)*{_LINK}{_NEWER}|(?:>=|≥)\s*v?(\d+(?:\.\d+)?))"
_RUST = r"^rust-version\s*=\s*\"(\d+\.\d+)"
_MSRV = r"MSRV|minimum supported Rust version"
_INHERITS = re.compile(r"^rust-version(\.workspace\s*=\s*true|\s*=\s*\{\s*workspace\s*=\s*true)", re.MULTILINE)
_IS = r"\W{1,4}(?:of \S+ )?(?:is )?(?:currently )?\W{0,3}(?:Rust )?v?(\d+\.\d+)"
# What documents call a language, and the lines of manifests that decide.
_DECIDED = (
    ("Python", "pyproject.toml", r"^(?:requires-python|python)\s*=\s*[\"']\s*(?:>=|\^)\s*(\d+\.\d+)"),
    ("Python", "setup.py", r"^\s*python_requires\s*=\s*[\"']\s*>=\s*(\d+\.\d+)"),
    ("Python", "setup.cfg", r"^python_requires\s*=\s*>=\s*(\d+\.\d+)"),
    (r"Node(?:\.?js)?", "package.json", r"^\s*\"node\"\s*:\s*\">=\s*v?(\d+)"),
    ("Rust", "Cargo.toml", _RUST),
    (_MSRV, "Cargo.toml", _RUST),
    ("Go", "go.mod", r"^go\s+(\d+\.\d+)"),
)


def find_contradictions(survey: Survey) -> Iterator[Finding]:
    """Yields each line of a document that promises what a manifest does not keep."""
    for path in filter(_DOCUMENT.search, survey.snapshot.paths):
        source = None if is_vendored(path) or is_test(path) else survey.snapshot.read(path)
        for name, manifest, line in _DECIDED if source else ():
            decided = _nearest(survey, path, manifest, line)
            if source is None or decided is None:
                continue
            for number, called, stated in _promised(source.lines, name):
                if any(one != other for one, other in zip(stated.split("."), decided[1].split("."), strict=False)):
                    told = f"{path} says {called} {stated} or newer, {decided[0]} requires {decided[1]}"
                    yield sighting(RULE, cite(source, number, number + 1), told)


def _promised(lines: Iterable[str], name: str) -> Iterator[tuple[int, str, str]]:
    """Yields each line that says what the project needs, with its number, the words for the language, and the version."""
    pattern = re.compile(rf"\b({name})(?:{_IS if name == _MSRV else _VERSION})", re.IGNORECASE)
    is_about_all = True
    for number, (text, following) in enumerate(pairwise((*lines, "")), 1):
        if heading := _HEADING.match(text):
            is_about_all = heading[1] == "#" or bool(_SECTION.search(heading[2]))
        match = None if _NOTE.match(text) else pattern.search(f"{text[:1000]} {following[:1000]}")
        if match is None or match.start() >= len(text):
            continue
        is_needed = name == _MSRV or _NEEDED.search(text + following) or _is_item(text, match)
        is_part = not is_about_all or (_PART.search(text) and not _BUILDS.search(text))
        if is_needed and (name == _MSRV or not is_part):
            yield number, match[1], next(filter(None, match.groups()[1:]))


def _is_item(text: str, match: re.Match[str]) -> bool:
    """Returns whether a line has the version and hardly a word besides."""
    return not re.search(r"\w", text[: match.start()]) and len(text) - match.end() < 20


def _nearest(survey: Survey, document: str, manifest: str, line: str) -> tuple[str, str] | None:
    """Returns the nearest manifest above a document, and its version, or the version that it inherits."""
    for folder in PurePosixPath(document).parents:
        source = survey.snapshot.read(str(folder / manifest))
        if source and (match := re.search(line, source.text, re.MULTILINE)):
            return source.path, match[1]
        if source and not _INHERITS.search(source.text):
            return None
    return None
