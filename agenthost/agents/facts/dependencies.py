"""Scan `dependencies`: the packages that manifests name directly. Locked and vendored ones are not looked at."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from ..files import is_example, is_test, is_vendored
from ..reading.configuration import parse_toml
from .subject import Subject

MAX_DEPENDENCIES = 300
MAX_MANIFESTS = 100
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]{0,99})\s*(?:\[[^\]]{0,200}\])?\s*([^#;]{0,100})")
_GO = re.compile(r"\s*(?:require\s+)?([a-z0-9.-]+\.[a-z]+/[^\s]{1,200})\s+(v[^\s]{1,60})(?!.*// indirect)")
_GEM = re.compile(r"\s*gem\s+['\"]([^'\"]{1,100})['\"](?:\s*,\s*['\"]([^'\"]{1,60})['\"])?")
_ARTIFACT = re.compile(r"<artifactId>([^<]{1,100})</artifactId>\s*(?:<version>([^<]{1,60})</version>)?")

Found = Iterator[tuple[str, str]]


def scan_dependencies(subject: Subject) -> list[dict[str, Any]]:
    """Returns the direct dependencies, each with the manifest that names it and the version as it is written there."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    manifests = [(path, reader) for path in subject.snapshot.paths if (reader := _reader(path)) and not _is_aside(path)]
    for path, reader in manifests[:MAX_MANIFESTS]:
        source = subject.read(path)
        if source is None:
            continue
        try:
            for name, version in reader(source.text):
                found.setdefault((path, name), {"name": name, "version": version.strip()[:60], "manifest": path})
        except (ValueError, TypeError, AttributeError, RecursionError):
            subject.miss(f"dependencies: {path} cannot be read.")
    if len(manifests) > MAX_MANIFESTS or len(found) > MAX_DEPENDENCIES:
        subject.miss(
            f"dependencies: at most {MAX_DEPENDENCIES} of {MAX_MANIFESTS} manifests are listed; the others are left out."
        )
    return list(found.values())[:MAX_DEPENDENCIES]


def _is_aside(path: str) -> bool:
    return is_vendored(path) or is_test(path) or is_example(path)


def _reader(path: str) -> Callable[[str], Found] | None:
    name = PurePosixPath(path).name.lower()
    if re.fullmatch(r"(.*-)?requirements.*\.txt", name):
        return _requirements
    return _READERS.get(name)


def _requirements(text: str) -> Found:
    for line in text.splitlines():
        if not line.lstrip().startswith(("#", "-")) and (match := _REQUIREMENT.match(line)):
            yield match[1], match[2]


def _package_json(text: str) -> Found:
    document = json.loads(text)
    for group in ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies"):
        for name, version in (document.get(group) or {}).items():
            yield str(name), str(version)


def _pyproject(text: str) -> Found:
    document = parse_toml(text)
    project = document.get("project") or {}
    groups = [project.get("dependencies") or [], *(project.get("optional-dependencies") or {}).values()]
    for requirement in (one for group in groups for one in group if isinstance(one, str)):
        yield from _requirements(requirement)
    yield from _tables((document.get("tool") or {}).get("poetry") or {}, "dependencies")


def _cargo(text: str) -> Found:
    document = parse_toml(text)
    for group in ("dependencies", "dev-dependencies", "build-dependencies"):
        yield from _tables(document, group)


def _tables(document: Mapping[str, Any], group: str) -> Found:
    for name, wanted in (document.get(group) or {}).items():
        if name != "python":
            yield str(name), str(wanted.get("version", "") if isinstance(wanted, dict) else wanted)


def _lines_with(pattern: re.Pattern[str]) -> Callable[[str], Found]:
    def read(text: str) -> Found:
        for line in text.splitlines():
            if match := pattern.match(line[:400]):
                yield match[1], match[2] or ""

    return read


def _pom(text: str) -> Found:
    for part in text.split("<dependency>")[1:]:
        if match := _ARTIFACT.search(part[:2000]):
            yield match[1], match[2] or ""


_READERS: Mapping[str, Callable[[str], Found]] = {
    "package.json": _package_json,
    "pyproject.toml": _pyproject,
    "cargo.toml": _cargo,
    "go.mod": _lines_with(_GO),
    "gemfile": _lines_with(_GEM),
    "pom.xml": _pom,
}
