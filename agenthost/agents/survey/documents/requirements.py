"""Finds READMEs that promise an older version of a language than the manifest allows, or ask for a newer one. Both are quoted."""

import re
from collections.abc import Iterator
from itertools import pairwise

from ..finding import Evidence, Finding, cite
from ..survey import Survey

# Words by which a line speaks of what is needed to run the project.
_NEEDED = re.compile(
    r"requir|support|need|minimum|compatib|prerequisit|work(?:s|ing)? (?:with|on)|runs? on|must|you use", re.IGNORECASE
)
_NOTE = re.compile(r"\s*[|¹²³⁴⁵⁶⁷⁸⁹*†‡]")  # of a table, or below one: it is about one feature
_AND_NEWER = r"(?:\+| and (?:above|newer|later|up)| or (?:above|newer|later|higher))"
# A language, what a README says of it, and the lines of manifests that decide.
_DECIDED = (
    (
        "Python",
        re.compile(rf"\bPython\s+(?:version\s+)?v?(\d+\.\d+){_AND_NEWER}", re.IGNORECASE),
        {
            "pyproject.toml": re.compile(r"^requires-python\s*=\s*[\"']\s*>=\s*(\d+\.\d+)"),
            "setup.py": re.compile(r"^\s*python_requires\s*=\s*[\"']\s*>=\s*(\d+\.\d+)"),
            "setup.cfg": re.compile(r"^python_requires\s*=\s*>=\s*(\d+\.\d+)"),
        },
    ),
    (
        "Node.js",
        re.compile(rf"\bNode(?:\.?js)?\s+(?:version\s+)?v?(\d+)(?:\.\d+)*{_AND_NEWER}", re.IGNORECASE),
        {"package.json": re.compile(r"^\s*\"node\"\s*:\s*\">=\s*v?(\d+)")},
    ),
    (
        "Rust",
        re.compile(rf"\bRust\s+(?:version\s+)?v?(1\.\d+)(?:\.\d+)?{_AND_NEWER}", re.IGNORECASE),
        {"Cargo.toml": re.compile(r"^rust-version\s*=\s*\"(1\.\d+)")},
    ),
    (
        "Go",
        re.compile(
            rf"\bGo\]?(?:\([^)]*\))?\s+(?:version\s+)?\[?v?(1\.\d+)\]?(?:\([^)]*\))?{_AND_NEWER}", re.IGNORECASE
        ),
        {"go.mod": re.compile(r"^go\s+(1\.\d+)")},
    ),
)


def find_contradictions(survey: Survey) -> Iterator[Finding]:
    """Yields each language of which a README and a manifest say different things."""
    readme = next((path for path in survey.snapshot.paths if re.match(r"^readme\.(md|rst)$", path, re.IGNORECASE)), "")
    for language, promise, manifests in _DECIDED:
        stated = _first(survey, readme, promise, also=_NEEDED)
        decided = next(
            ((path, found) for path, line in manifests.items() if (found := _first(survey, path, line))), None
        )
        if stated is None or decided is None or stated[1] == decided[1][1]:
            continue
        path, (number, version) = decided
        places = (_place(survey, readme, stated[0]), _place(survey, path, number))
        yield Finding(
            title=f"The README promises {language} {stated[1]} and newer, {path} requires {version}",
            claim=f"Readers with a {language} between the two are told the wrong thing. The requirement decides.",
            remedy="Correct the text, or the requirement if it was not meant.",
            rule="lens:two-requirements",
            evidence=tuple(place for place in places if place),
        )


def _first(
    survey: Survey, path: str, pattern: re.Pattern[str], *, also: re.Pattern[str] | None = None
) -> tuple[int, str] | None:
    """Returns the first line of a file that matches, with the next one where a sentence goes on, and the version that it names."""
    source = survey.snapshot.read(path) if path else None
    lines = source.lines if source else ()
    for number, (line, following) in enumerate(pairwise((*lines, "")), 1):
        text = f"{line[:1000]} {following[:1000]}"
        match = pattern.search(text) if also is None or not _NOTE.match(line) else None
        if match and match.start() < len(line) and (also is None or also.search(text)):
            return number, match[1]
    return None


def _place(survey: Survey, path: str, number: int) -> Evidence | None:
    source = survey.snapshot.read(path)
    return cite(source, number, number + 1) if source else None
