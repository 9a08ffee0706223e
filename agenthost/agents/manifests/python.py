"""Finds manifests of Python whose tools aim at newer versions than users may have, and that make users install tools for tests."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..dependencies.declarations import Declared, projects
from ..files import is_example, is_test, is_vendored
from ..reading.configuration import parse_toml
from ..reading.snapshot import Snapshot, SourceText
from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey

TARGET = "lens:target-above-floor"
TOOL = "lens:tool-at-run-time"
# The lowest versions that the tools know: a project with a lower floor has no other choice.
LOWEST = {"ruff": (3, 7), "black": (3, 3)}
MANIFESTS = frozenset({"pyproject.toml", "setup.py", "setup.cfg"})
# Of each tool its module, or what a program that runs it would name.
_TOOLS = {
    **{name: name for name in ("black", "mypy", "pytest", "ruff", "flake8", "tox", "isort", "pylint", "twine", "yapf")},
    **{
        name: name
        for name in ("autopep8", "bandit", "pyflakes", "pycodestyle", "pydocstyle", "nox", "autoflake", "pyupgrade")
    },
    "pre-commit": "pre_commit",
    "pytest-cov": "pytest_cov",
    "pytest-asyncio": "pytest_asyncio",
    "bumpversion": "bumpversion",
    "pytest-mock": "pytest_mock",
    "pytest-xdist": "xdist",
    "bump2version": "bumpversion",
    "pytest-runner": "ptr",
}
_FLOOR = re.compile(r"(?:>=|\^|~=|~)\s*(3\.\d+)")
_TARGET = re.compile(r"py3(\d+)")


def find_in_python(survey: Survey) -> Iterator[Finding]:
    """Yields each target above the floor, and each tool for developers among what users install."""
    for path in survey.snapshot.paths:
        source = survey.snapshot.read(path) if path.rpartition("/")[2] == "pyproject.toml" else None
        if source and not (is_test(path) or is_example(path) or is_vendored(path)):
            yield from _above_floor(survey.snapshot, source)
    yield from _at_run_time(survey)


def floor_of(told: Mapping[str, Any]) -> tuple[int, int] | None:
    """Returns the lowest version of Python that a pyproject.toml allows; None where it says none, or says it in another way."""
    wanted = table(told, "project").get("requires-python") or table(told, "tool", "poetry", "dependencies").get(
        "python"
    )
    match = _FLOOR.search(wanted) if isinstance(wanted, str) and "||" not in wanted else None
    return (3, int(match[1].partition(".")[2])) if match else None


def table(told: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Returns a table in a table; an empty one where there is none."""
    found: Any = told
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def read_table(source: SourceText | None) -> Mapping[str, Any]:
    """Returns the table of a file of TOML; an empty one where it has none."""
    try:
        return parse_toml(source.text) if source else {}
    except ValueError:
        return {}


def _above_floor(snapshot: Snapshot, source: SourceText) -> Iterator[Finding]:
    told, folder = read_table(source), source.path.rpartition("/")[0]
    floor = floor_of(told)
    beside = (snapshot.read(f"{folder}/{name}".lstrip("/")) for name in ("ruff.toml", ".ruff.toml"))
    own = next((one for one in beside if one), None)
    settings = (
        ("ruff", own or source, read_table(own) if own else table(told, "tool", "ruff")),
        ("black", source, table(told, "tool", "black")),
    )
    for tool, where, setting in settings if floor else ():
        value = setting.get("target-version")
        words = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        versions = [(3, int(match[1])) for word in words if (match := _TARGET.fullmatch(str(word)))]
        if floor and versions and min(versions) > max(floor, LOWEST[tool]):
            number = next((at for at, line in enumerate(where.lines, 1) if _is_setting(where, at, line, tool)), 0)
            title = f"{tool} writes for Python {_spelt(min(versions))}, and the package promises {_spelt(floor)}"
            yield sighting(TARGET, cite(where, number) if number else None, title)


def _is_setting(source: SourceText, number: int, line: str, tool: str) -> bool:
    """Returns whether a line is the setting of a tool: below the heading of its table, or at the top of its own file."""
    if not re.match(r"\s*target-version\s*=", line):
        return False
    headings = [one.strip() for one in source.lines[: number - 1] if one.startswith("[")]
    return not headings or headings[-1].startswith(f"[tool.{tool}")


def _spelt(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _at_run_time(survey: Survey) -> Iterator[Finding]:
    for declared in projects(survey.snapshot).values():
        for one in declared:
            source = survey.snapshot.read(one.path)
            if one.key in _TOOLS and source and _is_published(source) and not _is_used(survey, source, one):
                title = f"`{one.name}` is installed by every user, and the package never uses it"
                yield sighting(TOOL, cite(source, one.line), title)


def _is_published(source: SourceText) -> bool:
    """Returns whether a manifest makes a package that others install: no list for developers, and no plug-in of a tool."""
    name = source.path.rpartition("/")[2]
    if name not in MANIFESTS or re.search(
        r"pytest11|flake8\.(?:extension|report)|pylint\.|mypy[_.]plugin", source.text
    ):
        return False
    if name == "pyproject.toml" and not re.search(r"(?m)^\[build-system\]|^packages\s*=", source.text):
        return False
    named = re.search(r"(?m)^[^\S\n]*name\s*=\s*[\"']?([\w.-]+)", source.text)
    is_tool = named and re.search(
        r"(?i)pytest|lint|flake8|mypy|black|ruff|test|format|hook|quality|style|dev|template", named[1]
    )
    return bool(named and not is_tool) and not re.search(
        r"(?m)package-mode\s*=\s*false|Private :: Do Not Upload", source.text
    )


def _is_used(survey: Survey, manifest: SourceText, one: Declared) -> bool:
    """Returns whether code of the package imports a tool, or names it in a text, as one that starts it would."""
    forms = rf"(?:{re.escape(_TOOLS[one.key])}|{re.escape(one.key)})"
    pattern = re.compile(rf"(?m)^[^\S\n]*(?:from|import)\s+{forms}\b|[\"'`\s]{forms}(?:[\"'`\s.]|$)")
    folder = manifest.path.rpartition("/")[0]
    inside = (path for path in survey.product if path.startswith(f"{folder}/" if folder else ""))
    sources = (survey.snapshot.read(path) for path in inside if path.rpartition("/")[2] not in MANIFESTS)
    return any(pattern.search(source.text) for source in sources if source)
