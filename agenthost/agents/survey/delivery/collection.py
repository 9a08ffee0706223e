"""Finds tests that CI never collects: left out by pytest's patterns or paths, behind build tags that nothing sets, or all of them.

A file counts as a test only where a parser finds tests in it.
"""

import ast
import configparser
import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

from ...files import is_example
from ...reading.python_source import FUNCTIONS, dotted
from ...reading.snapshot import Snapshot
from ..finding import Finding, cite, sighting
from ..survey import Survey
from .commands import Recipes, may_test
from .pipelines import Pipeline

UNCOLLECTED = "lens:uncollected-tests"
UNTESTED = "lens:ci-without-tests"
MIN_TEST_FILES = 3
_PYTEST = re.compile(r"(?:^|\s)(?:pytest|py\.test)(?P<arguments>(?:\s.*)?)$")
_OTHER_RUNNERS = re.compile(r"unittest|nosetests|manage\.py test|\btrial\b|stestr|runtests|zope-testrunner|run_tests")
_BUILD_TAG = re.compile(r"^//go:build (?P<tags>[a-z_]\w*(?: \|\| [a-z_]\w*)*)$")
_EVERY_PACKAGE = re.compile(
    r"^(?:pnpm (?:-r|--recursive) (?:run )?|lerna run |turbo (?:run )?|yarn workspaces run )(?P<name>[\w:-]*test[\w:-]*)$"
)
_SCRIPT_TEST = re.compile(r"\.(?:test|spec)\.[cm]?[jt]sx?$")
_ROOT_RUNNER = re.compile(r"^(?:vitest|jest)\.(?:config|workspace|projects)\b")
# Tags that Go sets by itself, or that tools know.
_PLATFORMS = re.compile(
    r"(linux|darwin|windows|freebsd|netbsd|openbsd|unix|android|ios|js|wasm|amd64|arm|arm64|riscv64|cgo|race|ignore|tools|purego"
    r"|go1.*)$"
)


def find_uncollected(
    survey: Survey, pipelines: list[Pipeline], recipes: Recipes, lines: list[str]
) -> Iterator[Finding]:
    """Yields each test file that no command of CI reaches."""
    if not may_test(lines):
        yield from _untested(survey, pipelines)
        return
    told = "\n".join(lines)
    if any(_PYTEST.search(line) for line in lines) and not _OTHER_RUNNERS.search(told):
        yield from _python(survey, lines, told)
    if "go test" in told:
        yield from _tagged(survey, told)
    yield from _unscripted(survey, recipes, lines)


def _untested(survey: Survey, pipelines: list[Pipeline]) -> Iterator[Finding]:
    """Says that CI runs no tests at all, where it builds or checks changes and calls no workflow from elsewhere."""
    changes = [item for item in pipelines if {"push", "pull_request"} & item.triggers or item.system == "GitLab"]
    foreign = any(job.uses and not job.uses.startswith("./") for item in pipelines for job in item.jobs)
    tests = [path for path in survey.tests if re.search(r"test|spec", PurePosixPath(path).name, re.IGNORECASE)]
    if not changes or foreign or len(tests) < MIN_TEST_FILES:
        return
    first = changes[0]
    place = cite(first.source, first.jobs[0].line) if first.jobs else None
    yield sighting(
        UNTESTED, place, f"there are {len(tests):,} files of tests, as {tests[0]}, and no job runs a test command"
    )


_TYPED = frozenset(
    {"typing", "typesafety", "mypy", "pyright", "type_tests"}
)  # type checkers read these, and nothing runs them


def _python(survey: Survey, lines: list[str], told: str) -> Iterator[Finding]:
    settings = _settings(survey.snapshot)
    patterns = settings.get("python_files") or ["test_*.py", "*_test.py"]
    roots = _roots(survey.snapshot, lines, settings.get("testpaths", []))
    imported = {
        word
        for source in survey.sources(survey.tests, "Python")
        for line in re.findall(r"\b(?:import|from)\s[^\n]*", source.text)
        for word in re.findall(r"\w+", line)
    }
    for source, tree in survey.python(survey.tests):
        pure = PurePosixPath(source.path)
        if is_example(source.path) or pure.name in told or _TYPED & set(pure.parts):
            continue
        named = any(fnmatch(pure.name, pattern) or fnmatch(source.path, f"*{pattern}") for pattern in patterns)
        inside = not roots or any(pure.is_relative_to(root) for root in roots)
        number = 0 if named and inside else _first_test(tree)
        if number and pure.stem not in imported:
            why = (
                f"its folder is not among {', '.join(sorted(roots))}"
                if named
                else f"its name does not match {' or '.join(patterns)}"
            )
            yield sighting(UNCOLLECTED, cite(source, number), f"pytest passes over {source.path}: {why}")


def _roots(snapshot: Snapshot, lines: list[str], configured: list[str]) -> set[str]:
    """Returns the folders and files that pytest is told to look in; none where that is everything, or cannot be told."""
    found: set[str] = set()
    for line in lines:
        match = _PYTEST.search(line)
        if not match:
            continue
        words = match["arguments"].split()
        paths = [word.strip("\"'").rstrip("/").removeprefix("./").partition("::")[0] for word in words]
        paths = [path for path in paths if path in snapshot.folders or path in snapshot.sizes]
        if "$" in match["arguments"] or "{" in match["arguments"].replace("{posargs}", "") or not (paths or configured):
            return set()
        found.update(paths or [path.rstrip("/").removeprefix("./") for path in configured])
    # What CI changes into is not known here.
    moved = any(re.match(r"(?:cd|pushd)\s", line) for line in lines)
    return set() if moved or found & {"", "."} else found


def _settings(snapshot: Snapshot) -> dict[str, list[str]]:
    """Returns pytest's own settings, from the first file that it would read."""
    for path, section in (
        ("pytest.ini", "pytest"),
        ("pyproject.toml", ""),
        ("tox.ini", "pytest"),
        ("setup.cfg", "tool:pytest"),
    ):
        source = snapshot.read(path)
        found: Any = _section(source.text, section) if source else None
        if isinstance(found, dict):
            return {
                key: value.split() if isinstance(value, str) else [str(item) for item in value]
                for key, value in found.items()
                if isinstance(value, str | list)
            }
    return {}


def _section(text: str, section: str) -> Any:
    try:
        if not section:
            return tomllib.loads(text)["tool"]["pytest"]["ini_options"]
        parser = configparser.RawConfigParser(strict=False)
        parser.read_string(text)
        return dict(parser[section])
    except (configparser.Error, ValueError, KeyError, TypeError, RecursionError):
        return None


def _first_test(tree: ast.Module) -> int:
    """Returns the line of the first test that pytest would collect from a file of the right name; 0 if there is none."""
    for node in tree.body:
        if isinstance(node, FUNCTIONS) and node.name.startswith("test_"):
            return node.lineno
        if isinstance(node, ast.ClassDef) and (
            node.name.startswith("Test") or any("TestCase" in dotted(base) for base in node.bases)
        ):
            tests = [item for item in node.body if isinstance(item, FUNCTIONS) and item.name.startswith("test_")]
            if tests:
                return tests[0].lineno
    return 0


def _tagged(survey: Survey, told: str) -> Iterator[Finding]:
    for source in survey.sources(survey.tests, "Go"):
        if not source.path.endswith("_test.go"):
            continue
        for number, line in enumerate(source.lines[:20], 1):
            match = _BUILD_TAG.match(line)
            tags = match["tags"].split(" || ") if match else []
            if tags and not any(_PLATFORMS.match(tag) or re.search(rf"\b{tag}\b", told) for tag in tags):
                detail = f"{source.path} is built only with the tag `{tags[0]}`, which no command of CI sets"
                yield sighting(UNCOLLECTED, cite(source, number), detail)


def _unscripted(survey: Survey, recipes: Recipes, lines: list[str]) -> Iterator[Finding]:
    """Yields packages with tests that lack the script which CI runs in every package."""
    names = [match["name"] for line in lines if (match := _EVERY_PACKAGE.match(line))]
    own = any(re.match(r"vitest|jest", command) for command in recipes.scripts().values())
    if len(set(names)) != 1 or own or any(map(_ROOT_RUNNER.match, survey.snapshot.paths)):
        return
    for folder in recipes.packages:
        tests = [
            path for path in survey.tests if folder and path.startswith(f"{folder}/") and _SCRIPT_TEST.search(path)
        ]
        inner = any(other.startswith(f"{folder}/") for other in recipes.packages)
        source = survey.snapshot.read(f"{folder}/package.json")
        if source and tests and not inner and names[0] not in recipes.scripts(folder):
            number = next((at for at, line in enumerate(source.lines, 1) if '"scripts"' in line), 1)
            detail = f"CI runs `{names[0]}` in every package, and {folder} has tests, as {tests[0]}, but no such script"
            yield sighting(UNCOLLECTED, cite(source, number), detail)
