"""Doubts results about scripts that only a person runs, who sees the error: no pipeline, hook or longer command starts them."""

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from ...files import is_example, is_test
from ..narrowing.repository import Repository
from ..results import Result

MAX_PIPELINES = 300
_FILES = (
    ".gitlab-ci.yml",
    ".travis.yml",
    ".circleci/config.yml",
    "azure-pipelines.yml",
    "Jenkinsfile",
    "Makefile",
    "Dockerfile",
)
_ACTIONS = ("action.yml", "action.yaml")
# npm runs these itself, and people and hosts of sites expect the others to tell a failure.
_HOOK = re.compile(
    r"(?:pre|post)[a-z]+|prepare|prepublishOnly|install|publish|version|build(?:[:-].*)?|test(?:[:-].*)?|vercel-build"
)
_GOES_ON = re.compile(r"&&|\|\|")


def why_not(result: Result, _: bytes, here: Repository) -> str:
    """Returns that only a person runs the script, as far as can be seen."""
    path = PurePosixPath(result.path)
    if is_example(result.path) or is_test(result.path):
        return "stand in examples or benchmarks"
    is_index = path.stem == "index" and path.parent.name
    stem, folder = (path.parent.name, path.parent.parent.name) if is_index else (path.stem, path.parent.name)
    named = re.compile(rf"(?:{re.escape(folder)}/{re.escape(stem)}|(?<![\w-]){re.escape(stem)}\.[cm]?[jt]sx?)(?![\w-])")
    pipelines = "\n".join(_pipelines(here))
    if named.search(pipelines):
        return ""
    scripts = [entry for folder in path.parents for entry in _scripts(here.read(str(folder / "package.json")))]
    others = "\n".join([pipelines, *(command for _, command in scripts)])
    is_read = any(_is_read(name, command, named, others) for name, command in scripts)
    return "" if is_read else "stand in scripts that only a person runs"


def _is_read(name: str, command: str, named: re.Pattern[str], others: str) -> bool:
    """Returns whether a program learns the result of a script of package.json that runs the file."""
    match = named.search(command)
    if match is None:
        return False
    called = re.search(
        rf"\b(?:npm|yarn|pnpm|bun|turbo|nx|lerna|run-[sp])\b[^\n]*(?<![\w:-]){re.escape(name)}(?![\w:-])", others
    )
    return bool(called or _HOOK.fullmatch(name) or _GOES_ON.search(command, match.end()))


def _pipelines(here: Repository) -> Iterator[str]:
    paths = [*here.files_in(".github/workflows")[:MAX_PIPELINES], *here.find(_ACTIONS), *_FILES]
    yield from map(here.read, paths)


def _scripts(text: str) -> list[tuple[str, str]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return []
    scripts = document.get("scripts") if isinstance(document, dict) else None
    return [(str(name), str(command)) for name, command in scripts.items()] if isinstance(scripts, dict) else []
