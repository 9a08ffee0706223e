"""Finds the oldest version of Python or Node.js that a package promises to run on, and that no pipeline runs.

Where a version is computed, or comes from a shared workflow, nothing is said.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from ..reading.snapshot import SourceText
from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey
from .python import floor_of, read_table

UNTESTED = "lens:untested-floor"
_WORKFLOW = re.compile(r"^\.github/workflows/[^/]+\.ya?ml$")
_PIPELINE = re.compile(
    r"(^|/)(tox\.ini|noxfile\.py|Makefile|\.travis\.yml|azure-pipelines[^/]*|\.gitlab-ci\.yml|appveyor\.yml|hatch\.toml|Jenkinsfile"
    r"|Dockerfile[^/]*|setup\.cfg|tox\.toml|\.cirrus\.yml|[^/]*\.nix)$|^\.circleci/|^\.github/|^(ci|\.ci|\.azure[\w-]*|\.buildkite)/"
)
_COMPUTED = re.compile(
    r"fromJSON\(|\n\s+uses:\s*[^\n]*\.github/workflows/[^\n]*@|python-version-file|node-version-file|action-setup-tox"
)
_TESTS = re.compile(
    r"\b(pytest|tox|nox|unittest|hatch|make (?:test|check)|uv run|coverage|(?:npm|yarn|pnpm|bun)\b[^\n]*\btest)\b"
)
_PYTHON = re.compile(r"(?<![\d.])3\.(\d{1,2})(?![\d])|\bpy3(\d{1,2})\b|\bcp3(\d{1,2})\b")
_PYTHON_SETTING = re.compile(r"(?m)python(?:-version|_version|-versions)?s?:\s*(?:\[|[\"']?3\.|\n\s*-\s*[\"']?3\.)")
_NODE_SETTING = re.compile(
    r"(?m)node(?:-version|_version|js|-versions)?s?:\s*(?P<value>\[[^\]]*\]|[^\n]*(?:\n\s*-\s*[^\n:]+)*)"
)
_NODE = re.compile(r"(?<![\d.])(\d{1,2})(?:\.(?:\d+|x))*(?![\d])")
_ENGINE = re.compile(r"^\s*>=\s*v?(\d+)(?:\.\d+)*\s*$")


def find_untested_floor(survey: Survey) -> Iterator[Finding]:
    """Yields the manifest at the root whose oldest version no pipeline names."""
    read = survey.snapshot.read
    flows = [source for path in survey.snapshot.paths if _WORKFLOW.search(path) and (source := read(path))]
    if any(_COMPUTED.search(source.text) for source in flows) or not any(_TESTS.search(one.text) for one in flows):
        return
    other = [source for path in survey.snapshot.paths if _PIPELINE.search(path) and (source := read(path))]
    text = "\n".join(
        re.sub(r"(?m)^[^\S\n]*(?:#|-?\s*uses:).*$", "", source.text) for source in dict.fromkeys((*flows, *other))
    )
    if (manifest := read("pyproject.toml")) and any(_PYTHON_SETTING.search(source.text) for source in flows):
        yield from _of_python(manifest, text)
    if manifest := read("package.json"):
        yield from _of_node(manifest, flows)


def _of_python(manifest: SourceText, text: str) -> Iterator[Finding]:
    told = read_table(manifest)
    floor = floor_of(told)
    tool = told.get("tool")
    text += (
        str({name: value for name, value in tool.items() if name in {"tox", "hatch", "cibuildwheel"}}) if tool else ""
    )
    run = {int(next(filter(None, match.groups()))) for match in _PYTHON.finditer(text)}
    number = next((at for at, line in enumerate(manifest.lines, 1) if re.match(r"(?:requires-)?python\s*=", line)), 0)
    if floor and number and run and min(run) > floor[1]:
        title = f"Python 3.{floor[1]} is promised, and the oldest that pipelines name is 3.{min(run)}"
        yield sighting(UNTESTED, cite(manifest, number), title)


def _of_node(manifest: SourceText, flows: list[SourceText]) -> Iterator[Finding]:
    try:
        told: Any = json.loads(manifest.text)
    except (ValueError, RecursionError):
        return
    engines = told.get("engines") if isinstance(told, dict) and not told.get("private") else None
    match = _ENGINE.match(str(engines.get("node"))) if isinstance(engines, dict) else None
    values = [match["value"] for source in flows for match in _NODE_SETTING.finditer(source.text)]
    if match is None or any(re.search(r"\$\{\{(?!\s*matrix)|lts|latest|current", value) for value in values):
        return
    run = {int(version) for value in values for version in _NODE.findall(re.sub(r"#[^\n]*", "", value))}
    number = next((at for at, line in enumerate(manifest.lines, 1) if re.match(r"\s*\"node\"\s*:", line)), 0)
    if run and number and min(run) > int(match[1]):
        title = f"Node.js {match[1]} is promised, and the oldest that pipelines name is {min(run)}"
        yield sighting(UNTESTED, cite(manifest, number), title)
