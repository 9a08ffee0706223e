"""Finds what a repository has made ready or promised and that no CI job runs: scripts, targets of make, versions of a language.

A check counts as run where CI starts the same tool in any way. Where a CI system is present that is not read, nothing is said.
"""

import re
from collections.abc import Iterator

from ..finding import Evidence, Finding, cite, sighting
from ..survey import Survey
from .commands import Recipes
from .pipelines import Pipeline
from .unfailing import check_tools

UNRUN = "lens:unrun-check"
SUITE = "lens:unrun-suite"
UNTESTED = "lens:untested-version"
_NAME = re.compile(
    r"^(lint|type-?check|check-types|check|tsc|test|fmt|format:check|prettier:check|(?:lint|test)[:_-]\w+)$"
)
# What runs other things, what only formats, and tests: `lens:ci-without-tests` tells of those.
_INDIRECT = re.compile(
    r"^(?:npm|yarn|pnpm|make|black|isort|tox|nox|pytest|py\.test|unittest|go test|cargo (?:test|nextest)|jest|vitest|mocha|phpunit"
    r"|rspec|ctest|dotnet test|(?:\./)?gradlew?|mvn|\./mvnw)\b"
)
_CHANGING = re.compile(r"fix|watch|update|staged|debug|\bui\b")
_CLASSIFIER = re.compile(r"Programming Language :: Python :: (?P<version>3\.\d+)\b")
_PYTHON = re.compile(r"python-?versions?\b|\bpy3\d")
_RUST = re.compile(r"^rust-version\s*=\s*\"(?P<version>\d+\.\d+)")
_ALSO_TELLING = ("tox.ini", "noxfile.py", "pyproject.toml", ".python-version", "rust-toolchain.toml", "rust-toolchain")
_MSRV = re.compile(r"msrv|rust-version|minimal[_-]rust|cargo hack", re.IGNORECASE)


def find_unrun(survey: Survey, recipes: Recipes, lines: list[str]) -> Iterator[Finding]:
    """Yields each check whose tool no CI job starts, and each test target whose siblings are run."""
    told = "\n".join(lines)
    sources = (("package.json", recipes.scripts()), ("Makefile", recipes.targets))
    seen: set[str] = set()
    for path, named in sources:
        for name in named:
            if not _NAME.match(name) or _CHANGING.search(name) or "--write" in named[name]:
                continue
            command = f"npm run {name}" if path == "package.json" else f"make {name}"
            tools = check_tools(recipes.expand([command])[1:]) - seen
            # An action that runs a tool has the tool's name.
            missing = {
                tool for tool in tools if not _INDIRECT.match(tool) and not re.search(rf"\b{re.escape(tool)}\b", told)
            }
            if missing and (place := _place(survey, path, name)):
                seen |= missing
                listed = ", ".join(f"`{tool}`" for tool in sorted(missing))
                yield sighting(UNRUN, place, f"`{name}` runs {listed}, and no CI job does")
    yield from _suites(survey, recipes, set(lines))


def _suites(survey: Survey, recipes: Recipes, lines: set[str]) -> Iterator[Finding]:
    tests = {name: recipe for name, recipe in recipes.targets.items() if re.match(r"^test[_-]\w+$", name) and recipe}
    unrun = [name for name, recipe in tests.items() if not set(recipes.expand(recipe)) <= lines]
    if len(tests) - len(unrun) < 2:
        return
    for name in unrun:
        if place := _place(survey, "Makefile", name):
            yield sighting(
                SUITE,
                place,
                f"no CI job runs `make {name}`, though {len(tests) - len(unrun)} others of its kind are run",
            )


def _place(survey: Survey, path: str, name: str) -> Evidence | None:
    source = survey.snapshot.read(path)
    pattern = re.compile(
        rf'^\s*"{re.escape(name)}"\s*:' if path == "package.json" else rf"^{re.escape(name)}\b[^=]*:(?!=)"
    )
    numbers = (number for number, line in enumerate(source.lines if source else (), 1) if pattern.match(line))
    number = next(numbers, 0)
    return cite(source, number) if source and number else None


def find_untested_versions(survey: Survey, pipelines: list[Pipeline]) -> Iterator[Finding]:
    """Yields each promised version that nothing tests, where the pipelines name versions or build at all."""
    told = "\n".join(item.source.text for item in pipelines)
    others = [source for path in _ALSO_TELLING if (source := survey.snapshot.read(path))]
    lines = [line for source in others for line in source.lines if not _CLASSIFIER.search(line)]
    known = "\n".join([told, *lines])
    sources = (
        ("pyproject.toml", _CLASSIFIER),
        ("setup.py", _CLASSIFIER),
        ("setup.cfg", _CLASSIFIER),
        ("Cargo.toml", _RUST),
    )
    for path, pattern in sources:
        source = survey.snapshot.read(path)
        used = "cargo" in told and not _MSRV.search(told) if pattern is _RUST else _PYTHON.search(told)
        for number, line in enumerate(source.lines if source and used else (), 1):
            match = pattern.search(line)
            if source is None or match is None or line.lstrip().startswith("#"):
                continue
            # As 3.9, or 39 in py39.
            major, _, minor = match["version"].partition(".")
            if not re.search(rf"(?<![\d.]){major}\.?{minor}(?!\d)", known):
                language = "Rust" if pattern is _RUST else "Python"
                place = cite(source, number)
                yield sighting(UNTESTED, place, f"{language} {match['version']} is promised")
