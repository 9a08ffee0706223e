"""Finds files that manifests name for the package and that do not exist: its README, its licence, and what it includes."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from ...reading.snapshot import SourceText
from ..finding import Finding, cite, sighting
from ..survey import Survey

BUILD = "lens:missing-packaged-file"
INCLUDED = "lens:unpackaged-file"
# Files that are written by hand; others may be made when the package is built.
_WRITTEN = re.compile(r"^(licen[cs]e|copying|notice|readme|change(s|log)|authors|history|news)\b", re.IGNORECASE)
_SETUP_LICENCE = re.compile(r"^\s*license[-_]files?\s*=\s*(?P<name>[\w./-]+)\s*$")
_MANIFEST_IN = re.compile(r"^include\s+(?P<names>[\w./ -]+?)\s*$")


def find_unpackaged(survey: Survey) -> Iterator[Finding]:
    """Yields the files that manifests name and the repository does not have."""
    for rule, source, name in _named(survey):
        path = name.removeprefix("./")
        outside = path.startswith(("/", "..")) or re.search(r"[*?\[{$]", path)
        if outside or survey.snapshot.has(path) or not _WRITTEN.match(PurePosixPath(path).name):
            continue
        word = re.compile(rf"(?<![\w./-]){re.escape(name)}(?![\w./-])")
        number = next((at for at, line in enumerate(source.lines, 1) if word.search(line)), 0)
        stem = PurePosixPath(path).stem.lower()
        near = [item for item in survey.snapshot.paths if "/" not in item and PurePosixPath(item).stem.lower() == stem]
        if number and not any(item in source.text for item in near):
            detail = f"`{source.path}` names `{name}`, which does not exist" + (
                f"; there is `{near[0]}`" if near else ""
            )
            yield sighting(rule, cite(source, number), detail)


def _named(survey: Survey) -> Iterator[tuple[str, SourceText, str]]:
    manifests = tuple(path for path in ("pyproject.toml", "Cargo.toml") if path in survey.snapshot.sizes)
    for source in survey.sources(manifests):
        yield from ((rule, source, name) for rule, name in _of_toml(_parsed(source)))
    for path, pattern in (("setup.cfg", _SETUP_LICENCE), ("MANIFEST.in", _MANIFEST_IN)):
        other = survey.snapshot.read(path)
        for line in other.lines if other else ():
            if other and (match := pattern.match(line)):
                yield from ((INCLUDED, other, name) for name in match[1].split())


def _of_toml(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    project, package = _table(content, "project"), _table(content, "package")
    poetry = _table(_table(content, "tool"), "poetry")
    for value in (project.get("readme"), project.get("license"), poetry.get("readme"), package.get("readme")):
        names = value if isinstance(value, list) else [value.get("file") if isinstance(value, dict) else value]
        # A licence may be an expression: only what is clearly a file's name counts.
        yield from (
            (BUILD, name)
            for name in names
            if isinstance(name, str) and (value is not project.get("license") or isinstance(value, dict))
        )
    if isinstance(name := package.get("license-file"), str):
        yield BUILD, name
    for value in (poetry.get("include"), project.get("license-files")):
        yield from ((INCLUDED, name) for name in value if isinstance(name, str)) if isinstance(value, list) else ()


def _table(content: Any, name: str) -> dict[str, Any]:
    found = content.get(name) if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}


def _parsed(source: SourceText) -> dict[str, Any]:
    try:
        return tomllib.loads(source.text)
    except (ValueError, RecursionError):
        return {}
