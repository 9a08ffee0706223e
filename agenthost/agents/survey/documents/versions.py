"""Finds statements about the project that contradict each other: versions, the oldest language supported, the licence.

Both sides of a contradiction are quoted. What is computed when the package is built is not judged.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from ...reading.snapshot import SourceText
from ..finding import Evidence, Finding, Severity, cite
from ..survey import Survey

_PROJECT_VERSION = re.compile(r"^version\s*=\s*[\"']([0-9][^\"']*)[\"']")
_MODULE_VERSION = re.compile(r"^__version__\s*(?::\s*\w+\s*)?=\s*[\"']([0-9][^\"']*)[\"']")
_AND_NEWER = r"(?:\+| and (?:above|newer|later|up)| or (?:above|newer|later|higher))"
_SUPPORTED = (
    # (language, what a README says, file and line that decide)
    (
        "Python",
        re.compile(r"\bPython\s+(?:version\s+)?v?(\d+\.\d+)" + _AND_NEWER, re.IGNORECASE),
        (
            ("pyproject.toml", re.compile(r"^requires-python\s*=\s*[\"']\s*>=\s*(\d+\.\d+)")),
            ("setup.py", re.compile(r"^\s*python_requires\s*=\s*[\"']\s*>=\s*(\d+\.\d+)")),
            ("setup.cfg", re.compile(r"^python_requires\s*=\s*>=\s*(\d+\.\d+)")),
        ),
    ),
    (
        "Node.js",
        re.compile(r"\bNode(?:\.?js)?\s+(?:version\s+)?v?(\d+)(?:\.\d+)*" + _AND_NEWER, re.IGNORECASE),
        (("package.json", re.compile(r"^\s*\"node\"\s*:\s*\">=\s*v?(\d+)")),),
    ),
    (
        "Go",
        re.compile(
            r"\bGo\]?(?:\([^)]*\))?\s+(?:version\s+)?\[?v?(1\.\d+)\]?(?:\([^)]*\))?" + _AND_NEWER, re.IGNORECASE
        ),
        (("go.mod", re.compile(r"^go\s+(1\.\d+)")),),
    ),
)
_LICENCE_NAMES = re.compile(r"^(licen[cs]e|copying|unlicense|notice)", re.IGNORECASE)
_LICENCE_DECLARED = re.compile(r"^\s*\"license\"\s*:\s*\"(?!UNLICENSED|SEE )[^\"]+\"|^license\s*=\s*[\"'{]")


def find_contradictions(survey: Survey) -> Iterator[Finding]:
    """Yields each contradiction as a finding."""
    yield from _package_versions(survey)
    yield from _supported_versions(survey)
    yield from _licence(survey)


def _package_versions(survey: Survey) -> Iterator[Finding]:
    project = survey.snapshot.read("pyproject.toml")
    declared = _first(project, _PROJECT_VERSION, section="[project]") if project else None
    if project is None or declared is None:
        return
    name = _first(project, re.compile(r"^name\s*=\s*[\"']([^\"']+)[\"']"), section="[project]")
    package = name[1].lower().replace("-", "_") if name else ""
    for folder in ("", "src/"):
        source = survey.snapshot.read(f"{folder}{package}/__init__.py")
        stated = _first(source, _MODULE_VERSION) if source else None
        if source and stated and stated[1] != declared[1]:
            yield _contradiction(
                Severity.MEDIUM,
                f"Two versions are stated: pyproject.toml says {declared[1]}, {source.path} says {stated[1]}",
                "Users see one number when they install and another when they ask the program.",
                (project, declared[0]),
                (source, stated[0]),
                remedy="Keep the version in one place and read it from there.",
                rule="lens:two-versions",
            )


def _supported_versions(survey: Survey) -> Iterator[Finding]:
    readme = next(
        (source for name in ("README.md", "Readme.md", "README.rst") if (source := survey.snapshot.read(name))), None
    )
    for language, pattern, deciders in _SUPPORTED if readme else ():
        decided = next(
            (
                (source, found)
                for path, line in deciders
                if (source := survey.snapshot.read(path)) and (found := _first(source, line))
            ),
            None,
        )
        stated = _first(readme, pattern, anywhere=True) if readme and decided else None
        if readme and decided and stated and _number(stated[1]) != _number(decided[1][1]):
            source, found = decided
            yield _contradiction(
                Severity.LOW,
                f"Two requirements are stated: {readme.path} promises {language} {stated[1]} and newer, {source.path} requires "
                f"{found[1]}",
                f"Readers with a {language} between the two are told the wrong thing. The requirement decides.",
                (readme, stated[0]),
                (source, found[0]),
                remedy="Correct the text, or the requirement if it was not meant.",
                rule="lens:two-requirements",
            )


def _licence(survey: Survey) -> Iterator[Finding]:
    names = (PurePosixPath(path).name for path in (*survey.snapshot.paths, *survey.snapshot.folders))
    if any(map(_LICENCE_NAMES.match, names)):
        return
    for name in ("package.json", "pyproject.toml", "Cargo.toml"):
        source = survey.snapshot.read(name)
        declared = _first(source, _LICENCE_DECLARED, group=0) if source else None
        if source and declared and '"private": true' not in source.text:
            yield _contradiction(
                Severity.LOW,
                f"A licence is declared in {name}, and its text is nowhere",
                "Most licences ask for their text to go with every copy, and no file here holds it.",
                (source, declared[0]),
                remedy="Add the text as LICENSE.",
                rule="lens:missing-licence",
            )
            return


def _first(
    source: SourceText, pattern: re.Pattern[str], *, section: str = "", anywhere: bool = False, group: int = 1
) -> tuple[int, str] | None:
    """Returns the first line that says it, and what it says; within a section of TOML if one is named."""
    inside = not section
    for number, line in enumerate(source.lines, 1):
        if section and line.startswith("["):
            inside = line.strip() == section
        match = (pattern.search(line) if anywhere else pattern.match(line)) if inside and len(line) < 2000 else None
        if match:
            return number, match[group]
    return None


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _contradiction(
    severity: Severity, title: str, claim: str, *places: tuple[SourceText, int], remedy: str, rule: str
) -> Finding:
    quotes = (cite(source.path, source.lines, number) for source, number in places)
    evidence: tuple[Evidence, ...] = tuple(quote for quote in quotes if quote)
    return Finding("docs", severity, title, claim, evidence, remedy=remedy, rule=rule)
