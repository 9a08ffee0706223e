"""Finds addresses of the repository's own pages that lead nowhere: badges of missing workflows, and files that are missing.

The repository's own name is taken from its manifests.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote

from ..finding import Evidence, Finding, cite, sighting
from ..survey import Survey
from .links import documents, lost, same_named

WORKFLOW = "lens:missing-workflow"
PAGE = "lens:missing-page"
_MANIFESTS = ("pyproject.toml", "setup.cfg", "setup.py", "package.json", "Cargo.toml", "go.mod", "composer.json")
_REPOSITORY = re.compile(r"github\.com[/:](?P<name>[\w.-]+/[\w.-]+?)(?=\.git\b|[/\"'#\s)>\]]|$)", re.MULTILINE)
_WORKFLOW_FILE = re.compile(r"/actions/workflows/(?P<file>[\w.-]+\.ya?ml)")
_WORKFLOW_NAME = re.compile(r"(?<!actions)/workflows/(?P<name>[^/\s)\"]+)/badge\.svg")
_PAGE = re.compile(r"/(?:tree|blob|raw)/(?:main|master|HEAD)/(?P<path>[\w./%-]+)")
_RELATIVE_PAGE = re.compile(r"[\"']/(?:tree|blob)/(?:main|master|HEAD)/(?P<path>[\w./-]+)[\"']")
_NAME = re.compile(r"^name:\s*[\"']?(.+?)[\"']?\s*(?:#.*)?$", re.MULTILINE)


def find_dead_addresses(survey: Survey) -> Iterator[Finding]:
    """Yields the badges and pages that are not there."""
    own, workflows = _own_name(survey), _workflows(survey)
    readmes = [path for path in survey.snapshot.paths if re.match(r"^readme\.(rst|txt|adoc)$", path, re.IGNORECASE)]
    for source in survey.sources((*documents(survey), *readmes) if own else ()):
        for number, line in enumerate(source.lines, 1):
            for part in re.split(rf"github\.com/{re.escape(own)}(?=/)", line, flags=re.IGNORECASE)[1:]:
                yield from _judge(survey, cite(source, number), part, *workflows)
    for name in ("setup.py", "pyproject.toml"):
        manifest = survey.snapshot.read(name)
        for number, line in enumerate(manifest.lines if manifest else (), 1):
            for match in _RELATIVE_PAGE.finditer(line):
                if manifest and not survey.snapshot.has(match["path"].strip("/")):
                    yield sighting(PAGE, cite(manifest, number), f"there is no `{match['path']}`")


def _judge(
    survey: Survey, place: Evidence | None, part: str, files: frozenset[str], names: frozenset[str]
) -> Iterator[Finding]:
    if (match := _WORKFLOW_FILE.match(part)) and match["file"] not in files and files:
        yield sighting(
            WORKFLOW, place, f"there is no workflow `{match['file']}` (there are {', '.join(sorted(files)[:5])})"
        )
    elif (match := _WORKFLOW_NAME.match(part)) and unquote(match["name"]) not in names and names:
        yield sighting(WORKFLOW, place, f"no workflow is named `{unquote(match['name'])}`")
    elif match := _PAGE.match(part):
        path = unquote(match["path"]).rstrip("/.")
        if path and not survey.snapshot.has(path):
            same = same_named(survey, path)
            there = f"; the file of that name is `{same[0]}`" if len(same) == 1 else lost(path)
            yield sighting(PAGE, place, f"there is no `{path}`{there}")


def _workflows(survey: Survey) -> tuple[frozenset[str], frozenset[str]]:
    """Returns the file names and the names of the workflows."""
    found = [
        path
        for path in survey.snapshot.paths
        if path.startswith(".github/workflows/") and path.endswith((".yml", ".yaml"))
    ]
    names = {
        match[1] for path in found if (source := survey.snapshot.read(path)) and (match := _NAME.search(source.text))
    }
    return frozenset(PurePosixPath(path).name for path in found), frozenset({*names, *found})


def _own_name(survey: Survey) -> str:
    """Returns the owner and name of the repository at its host, as a manifest tells; empty where none does."""
    for path in _MANIFESTS:
        source = survey.snapshot.read(path)
        if source and (match := _REPOSITORY.search(source.text)):
            return match["name"]
    return ""
