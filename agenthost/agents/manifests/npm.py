"""Finds packages of npm with a foreign lockfile, with entries that are not there, and with tools for developers."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..files import is_example, is_test, is_tooling, is_vendored
from ..reading.snapshot import SourceText
from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey

LOCKFILE = "lens:foreign-lockfile"
ENTRY = "lens:missing-entry"
TOOL = "lens:tool-at-run-time"
LOCKS = {
    "npm": ("package-lock.json", "npm-shrinkwrap.json"),
    "yarn": ("yarn.lock",),
    "pnpm": ("pnpm-lock.yaml",),
    "bun": ("bun.lock", "bun.lockb"),
}
_TOOLS = frozenset(
    """
    ava c8 commitizen eslint gh-pages husky jasmine jest karma lint-staged mocha nodemon np nyc prettier semantic-release
    standard standard-version stylelint tape tslint vitest xo
    """.split()  # noqa: SIM905 - a word each is easier to read
)
_WRAPS = re.compile(
    r"(?i)lint|prettier|standard|jest|mocha|vitest|test|config|preset|script|cli|create-|plugin|format|style|starter|kit|dev"
)
_BUILDS = re.compile(
    r"(?i)build|compile|prepare|prepack|prepublish|dist|bundle|tsc|rollup|webpack|gulp|grunt|install|generate|make|babel"
)
_INSTALLS = ("install", "preinstall", "postinstall")
_FILE = re.compile(r"(?:\./)?(?P<path>[\w@.-][\w@./-]*\.(?:[cm]?js|json|d\.ts|d\.mts|d\.cts|css|node))")


def find_in_npm(survey: Survey) -> Iterator[Finding]:
    """Yields what the packages of a snapshot say that is not so."""
    for path in survey.snapshot.paths:
        if path.rpartition("/")[2] != "package.json" or is_test(path) or is_example(path) or is_vendored(path):
            continue
        source = survey.snapshot.read(path)
        told = _read(source)
        if source and told:
            folder = path.rpartition("/")[0]
            yield from _of_locks(survey, source, told, folder)
            if told.get("name") and told.get("version") and not told.get("private") and not is_tooling(path):
                yield from _of_entries(survey, source, told, folder)
                yield from _of_tools(survey, source, told, folder)


def _read(source: SourceText | None) -> Mapping[str, Any]:
    try:
        told = json.loads(source.text) if source else None
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _of_locks(survey: Survey, source: SourceText, told: Mapping[str, Any], folder: str) -> Iterator[Finding]:
    manager = str(told.get("packageManager", "")).partition("@")[0]
    if manager not in LOCKS or not any(survey.snapshot.has(_below(folder, name)) for name in LOCKS[manager]):
        return
    number = _line_of(source, '"packageManager"')
    for other, names in LOCKS.items():
        for name in names if other != manager else ():
            if survey.snapshot.has(_below(folder, name)) and not _is_named(survey, name):
                title = f"{_below(folder, name)} is a lockfile of {other}, and package.json names {manager}"
                yield sighting(LOCKFILE, cite(source, number), title)


def _is_named(survey: Survey, lock: str) -> bool:
    """Returns whether a pipeline or a container uses a lockfile."""
    pipelines = re.compile(
        r"^\.(github|circleci|gitlab-ci)|(^|/)(Dockerfile[^/]*|netlify\.toml|vercel\.json|[^/]*\.nix)$"
    )
    used = re.compile(
        re.escape(lock) + (r"|\bnpm (?:ci|install|i)\s*(?:$|[&|;])" if lock.startswith("package-lock") else ""),
        re.MULTILINE,
    )
    sources = (survey.snapshot.read(path) for path in survey.snapshot.paths if pipelines.search(path))
    return any(used.search(source.text) for source in sources if source)


def _of_entries(survey: Survey, source: SourceText, told: Mapping[str, Any], folder: str) -> Iterator[Finding]:
    """Yields each file that is an entry of the package and not there, where nothing could make it."""
    root = _read(survey.snapshot.read("package.json"))
    scripts = {**_table(told, "scripts"), **_table(root, "scripts")}
    if any(_BUILDS.search(f"{name} {text}") for name, text in scripts.items()) or told.get("publishConfig"):
        return
    if not ("files" in told or "repository" in told):  # `npm init` gives each application a name and an entry
        return
    ignored = survey.snapshot.read(".gitignore")
    for key, value in _entries(told):
        match = _FILE.fullmatch(value)
        if match is None or survey.snapshot.has(_below(folder, match["path"])):
            continue
        first = match["path"].split("/")[0]
        is_made = first in {"dist", "build", "lib", "out", "es", "esm", "cjs", "umd", "types"} and "/" in match["path"]
        if not is_made and not (ignored and re.search(rf"(?m)^/?{re.escape(first)}/?\s*$", ignored.text)):
            number = _line_of(source, f'"{value}"')
            yield sighting(ENTRY, cite(source, number), f"`{key}` names {value}, and there is no such file")


def _entries(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("main", "module", "types", "typings", "bin"):
        value = told.get(key)
        for one in value.values() if isinstance(value, dict) else [value]:
            if isinstance(one, str):
                yield key, one


def _of_tools(survey: Survey, source: SourceText, told: Mapping[str, Any], folder: str) -> Iterator[Finding]:
    """Yields each tool for developers among what users install, where the package does not load or start it."""
    if _WRAPS.search(str(told.get("name"))) or told.get("workspaces"):
        return
    installs = " ".join(str(_table(told, "scripts").get(name, "")) for name in _INSTALLS)
    for name in sorted(_TOOLS & _table(told, "dependencies").keys()):
        pattern = re.compile(rf"[\"'`\s/]{re.escape(name)}[\"'`\s/]")
        inside = (path for path in survey.product if path.startswith(f"{folder}/" if folder else ""))
        sources = (survey.snapshot.read(path) for path in inside if not re.search(r"config\.\w+$|(^|/)\.", path))
        if not re.search(rf"\b{name}\b", installs) and not any(pattern.search(one.text) for one in sources if one):
            title = f"`{name}` is installed by every user, and the package never uses it"
            yield sighting(TOOL, cite(source, _line_of(source, f'"{name}":', '"dependencies"')), title)


def _table(told: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = told.get(key)
    return value if isinstance(value, dict) else {}


def _below(folder: str, path: str) -> str:
    return f"{folder}/{path.removeprefix('./')}" if folder else path.removeprefix("./")


def _line_of(source: SourceText, text: str, after: str = "") -> int:
    """Returns the first line with a text, behind one with another; 1 where there is none."""
    start = next((at for at, line in enumerate(source.lines) if after in line), 0)
    return next((at for at, line in enumerate(source.lines[start:], start + 1) if text in line), 1)
