"""Tells what commands of pipelines do, following them into Makefiles, package.json, tox.ini and scripts of the repository.

It reads them as text: nothing is run. What cannot be followed counts as itself.
"""

import json
import posixpath
import re
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from ...reading.snapshot import Snapshot, SourceText
from .pipelines import Job, Pipeline, Step

MAX_DEPTH = 5
MAX_LINES = 3000
MAX_EXPANDED = 300_000
_PREFIX = re.compile(
    r"^(?:[({!@\s-]+|(?:sudo|time|exec|env|command|xvfb-run|npx|then|do|else|if|poetry run|uv run|pdm run|pipenv run|hatch run)\s+"
    r"|[A-Za-z_]\w*=(?:\"[^\"]*\"|'[^']*'|\S*)\s+)+"
)
_SEPARATOR = re.compile(r"&&|\|\||;|\|")
# What may run tests, read generously: an unusual name must not make a release look untested.
_TESTING = re.compile(
    r"(?<![\w-])(py\.?test|unittest|tox|nox|nosetests?|ctest|jest|vitest|mocha|cypress|playwright|rspec|phpunit|bats|ginkgo|gotestsum"
    r"|tarpaulin|nextest|trial|check|verify|spec|ci)(?![\w-])|tests?(?![a-z])|[Tt]est(?:Debug|Release)?|connectedCheck"
)
# Build tools that run the tests on their way, unless they are told not to.
_BUILDING = re.compile(
    r"^(?:\./)?(?:mvnw?\b.*\b(?:package|install|deploy|verify)\b|gradlew?\b.*\bbuild\b|lein\b|sbt\b)"
)
# Runners of tasks whose default or own tasks are not read here.
_TASKS = re.compile(
    r"^(?:bundle exec )?(?:rake|grunt|gulp|just|task|mage|earthly|invoke|inv|hatch|pdm|poe|turbo|nx|bazelisk|bazel|pants|dagger"
    r"|ninja|meson|scons|waf|\./x(?:\.py)?|docker[ -]compose (?:run|up|build))\b(?!.*\b(?:publish|release|push)\b)"
)
_SKIPPING = re.compile(r"skipTests|maven\.test\.skip|-x test")
_HARMLESS = re.compile(
    r"^\s*(echo|printf|git|cp|mv|rm|mkdir|cd|pip3? install|apt|export|curl|wget|tar|docker (?:login|pull)|\[|test -)"
)
_MAKE = re.compile(r"^(?:make|gmake)\b(?P<words>.*)")
_SCRIPT_RUN = re.compile(r"^(?P<tool>npm|yarn|pnpm|bun)\s+(?P<words>.*)")
_FILE_RUN = re.compile(
    r"^(?:(?:ba|z)?sh\s+(?:-\w+\s+)*|python3?\s+|node\s+|source\s+|\.\s+)?(?P<path>[\w.-]*(?:/[\w.-]+)+|[\w-]+\.(?:sh|py|js|mjs|cmd))"
)
_CONFIGURED = {"tox": "tox.ini", "nox": "noxfile.py", "just": "justfile", "pre-commit": ".pre-commit-config.yaml"}
_EVERYWHERE = ("-r", "--filter", "-F", "--recursive", "-w", "--workspace", "workspace", "foreach")
_KEY = re.compile(r"^\s*-?\s*(?:run|script|entry|command|commands):\s*")
_STARTS = re.compile(r"(?:exec|spawn|run|call|system|output|\bsh|pytest\.main|unittest\.main)\w*\(\s*(.+)")
_QUOTES = re.compile(r"[\"'`,\[\]()]+")
_TARGET = re.compile(r"^(?P<names>[A-Za-z0-9_][\w .\-/]*?)\s*::?(?!=)(?P<needs>[^#=]*)")


class Recipes:
    """The named commands of a repository: targets of make, scripts of packages, sessions of tox and nox, and files."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._expanded: dict[tuple[tuple[str, ...], str], list[str]] = {}
        self._left = MAX_EXPANDED

    @cached_property
    def targets(self) -> dict[str, list[str]]:
        """Maps the targets of the root's Makefile to their recipes, with `make` before each prerequisite."""
        source = self._snapshot.read("Makefile") or self._snapshot.read("GNUmakefile")
        found: dict[str, list[str]] = {}
        current: list[str] = []
        for line in source.lines if source else ():
            match = None if line.startswith(("\t", "#", ".")) else _TARGET.match(line)
            if match:
                current = [f"make {need}" for need in match["needs"].split()]
                found.update((name, current) for name in match["names"].split())
            elif line.startswith("\t"):
                current.append(line.strip().lstrip("@-"))
        return found

    @cached_property
    def packages(self) -> dict[str, dict[str, Any]]:
        """Maps the folders that hold a package.json to its content."""
        found: dict[str, dict[str, Any]] = {}
        for path in self._snapshot.paths:
            if PurePosixPath(path).name == "package.json" and len(found) < 200:
                content = _parsed(self._snapshot.read(path))
                if content:
                    found[path.rpartition("/")[0]] = content
        return found

    def scripts(self, folder: str = "") -> dict[str, str]:
        """Returns the scripts of the package in a folder."""
        own = self.packages.get(folder, {}).get("scripts")
        return {key: value for key, value in own.items() if isinstance(value, str)} if isinstance(own, dict) else {}

    def expand(self, commands: Iterable[str], folder: str = "") -> list[str]:
        """Returns the commands and everything that they start, as far as the repository shows it."""
        key = (tuple(commands), folder)
        if key not in self._expanded:
            self._expanded[key] = self._expand(*key) if self._left > 0 else list(key[0])
            self._left -= len(self._expanded[key])
        return self._expanded[key]

    def _expand(self, commands: tuple[str, ...], folder: str) -> list[str]:
        found: list[str] = []
        seen: set[tuple[str, str]] = set()
        waiting = deque((command, folder, 0) for command in commands)
        while waiting and len(found) < MAX_LINES:
            command, place, depth = waiting.popleft()
            for part in simple(command):
                if (part, place) not in seen:
                    seen.add((part, place))
                    found.append(part)
                    started = self._started(part, place) if depth < MAX_DEPTH else []
                    waiting.extend((line, there, depth + 1) for line, there in started)
        return found

    def of_step(self, step: Step) -> list[str]:
        """Returns everything that a step runs; of a foreign action only its name."""
        if step.uses.startswith("./"):
            return self.expand(self._file_lines(step.uses.removeprefix("./")))
        uses = [step.uses.partition("@")[0], step.setting("script"), step.setting("args"), step.setting("arguments")]
        return [*uses, *self.expand((command.text for command in step.commands), step.folder)]

    def of_job(self, job: Job) -> list[str]:
        """Returns everything that a job runs."""
        called = self._file_lines(job.uses.removeprefix("./")) if job.uses.startswith("./") else [job.uses]
        return [*self.expand(called), *(line for step in job.steps for line in self.of_step(step))]

    def of_pipelines(self, pipelines: Iterable[Pipeline]) -> list[str]:
        """Returns everything that the pipelines run."""
        return [line for pipeline in pipelines for job in pipeline.jobs for line in self.of_job(job)]

    def _started(self, command: str, folder: str) -> list[tuple[str, str]]:
        if match := _MAKE.match(command):
            words = [word for word in match["words"].split() if "=" not in word and not word.startswith("-")]
            return [(line, "") for word in words or list(self.targets)[:1] for line in self.targets.get(word, ())]
        if match := _SCRIPT_RUN.match(command):
            return self._run_scripts(match["words"].split(), folder)
        name = command.split(maxsplit=1)[0]
        if name in _CONFIGURED:
            return [(line, folder) for line in self._file_lines(_CONFIGURED[name])]
        match = _FILE_RUN.match(command)
        path = posixpath.normpath(posixpath.join(folder, match["path"])) if match else ""
        return [(line, folder) for line in self._file_lines(path)]

    def _run_scripts(self, words: list[str], folder: str) -> list[tuple[str, str]]:
        names = [word for word in words if not word.startswith("-") and word not in {"run", "run-script", "workspace"}]
        moved = re.search(r"(?:--cwd|--prefix|-C|--dir)[ =](?P<folder>\S+)", " ".join(words))
        places = [posixpath.normpath(posixpath.join(folder, moved["folder"]))] if moved else [folder, ""]
        if any(word.startswith(_EVERYWHERE) for word in words):
            places = list(self.packages)
        return [
            (scripts[name], place)
            for place in dict.fromkeys(places)
            for scripts in [self.scripts(place)]
            for word in names
            for name in (f"pre{word}", word, f"post{word}")
            if name in scripts
        ]

    def _file_lines(self, path: str) -> list[str]:
        names = (path, f"{path}/action.yml", f"{path}/action.yaml")
        source = next((self._snapshot.read(name) for name in names if name in self._snapshot.sizes), None)
        lines = source.text.replace("\\\n", " ").split("\n")[:MAX_LINES] if source else []
        lines = [line for line in lines if not line.lstrip().startswith(("#", "//", "*"))]
        if path.endswith((".py", ".js", ".mjs", ".cjs", ".ts")):
            # Of a program only what it starts is known.
            return [_QUOTES.sub(" ", match[1]).strip() for line in lines if (match := _STARTS.search(line))]
        return [_KEY.sub("", line).strip() for line in lines]


def simple(command: str) -> Iterator[str]:
    """Yields the single commands of a command line, without what only wraps them."""
    for part in _SEPARATOR.split(command):
        bare = _PREFIX.sub("", part.strip()).strip()
        if bare and not bare.startswith("#"):
            yield bare


def may_test(lines: Iterable[str]) -> bool:
    """Tells whether some of the commands may be tests."""
    return any(
        (_TESTING.search(line) and not _HARMLESS.match(line))
        or (_BUILDING.match(line) and not _SKIPPING.search(line))
        or _TASKS.match(line)
        for line in lines
    )


def _parsed(source: SourceText | None) -> dict[str, Any]:
    try:
        content = json.loads(source.text) if source else {}
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
