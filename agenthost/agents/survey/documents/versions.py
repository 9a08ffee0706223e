"""Finds documents, translated ones too, that promise another version of a language than the nearest manifest requires."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import PurePosixPath

from ...files import is_test, is_vendored
from ..finding import Finding, cite, sighting
from ..survey import Survey

RULE = "lens:two-requirements"
_DOCUMENT = re.compile(
    r"(?i)(^|/)(readme|contributing|install\w*|develop\w*|hacking|building)\b[\w.-]*\.(md|rst|txt|adoc)$"
)
# A line that says what is needed to run the project: by its words, as an item of a list, or in another script.
_NEEDED = re.compile(
    r"(?i)requir|support|need|minimum|compatib|prerequisit|works? (with|on)|runs? on|must|you use"
    r"|[\u0430-\u044f\u3041-\u9fff\uac00-\ud7a3]"
)
_NOTE = re.compile(r"\s*([|¹²³⁴⁵⁶⁷⁸⁹†‡]|\*\S)")  # of a table, or below one: it is about one feature
_NEWER = r"(?:\+|,? (?:and|or) (?:above|newer|later|higher|up)|\s*(?:以上|以降|이상|или выше|или новее))"
_LINK = r"\]?(?:\([^)]*\))?"
_VERSION = rf"{_LINK}\s+(?:version\s+)?\[?(?:v?(\d+(?:\.\d+)?)(?:\.\d+)*{_LINK}{_NEWER}|(?:>=|≥)\s*v?(\d+(?:\.\d+)?))"
# What documents call a language, and the lines of manifests that decide.
_DECIDED = (
    ("Python", "pyproject.toml", r"^(?:requires-python|python)\s*=\s*[\"']\s*(?:>=|\^)\s*(\d+\.\d+)"),
    ("Python", "setup.py", r"^\s*python_requires\s*=\s*[\"']\s*>=\s*(\d+\.\d+)"),
    ("Python", "setup.cfg", r"^python_requires\s*=\s*>=\s*(\d+\.\d+)"),
    (r"Node(?:\.?js)?", "package.json", r"^\s*\"node\"\s*:\s*\">=\s*v?(\d+)"),
    ("Rust", "Cargo.toml", r"^rust-version\s*=\s*\"(\d+\.\d+)"),
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
            pattern = re.compile(rf"\b({name}){_VERSION}", re.IGNORECASE)
            for number, (text, following) in enumerate(pairwise((*source.lines, "")), 1):
                match = None if _NOTE.match(text) else pattern.search(f"{text[:1000]} {following[:1000]}")
                if match is None or match.start() >= len(text):
                    continue
                stated = match[2] or match[3]
                differ = any(one != other for one, other in zip(stated.split("."), decided[1].split("."), strict=False))
                if differ and (_NEEDED.search(text + following) or not re.search(r"\w", text[: match.start()])):
                    told = f"{path} says {match[1]} {stated} or newer, {decided[0]} requires {decided[1]}"
                    yield sighting(RULE, cite(source, number, number + 1), told)


def _nearest(survey: Survey, document: str, manifest: str, line: str) -> tuple[str, str] | None:
    """Returns the nearest manifest above a document that decides, and its version."""
    for folder in PurePosixPath(document).parents:
        source = survey.snapshot.read(str(folder / manifest))
        if source and (match := re.search(line, source.text, re.MULTILINE)):
            return source.path, match[1]
    return None
