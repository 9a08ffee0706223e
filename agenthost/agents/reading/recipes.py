"""Tells what commands of pipelines do, following them into the Makefile, package.json and scripts of the repository.

It reads them as text: nothing is run. What cannot be followed counts as itself.
"""

import json
import posixpath
import re
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from .snapshot import Snapshot, SourceText
from .workflows import Job, Step

MAX_DEPTH = 5
MAX_LINES = 3000
MAX_EXPANDED = 300_000
MAX_PACKAGES = 200
_PREFIX = re.compile(
    r"^(?:[({!@\s-]+|(?:sudo|time|exec|env|command|xvfb-run|npx|then|do|else|if|(?:poetry|uv|pdm|hatch) run)\s+"
    r"|[A-Za-z_]\w*=(?:\"[^\"]*\"|'[^']*'|\S*)\s+)+"
)
# What may run tests, read generously: an unusual name must not make a release look untested. Build tools run tests on their way,
# unless they are told not to; the tasks of other tools are not read here.
_TESTING = re.compile(
    r"(?<![\w-])(py\.?test|unittest|tox|nox|nosetests?|ctest|jest|vitest|mocha|cypress|playwright|rspec|phpunit|bats|ginkgo|gotestsum"
    r"|tarpaulin|nextest|trial|check|verify|spec|ci)(?![\w-])|tests?(?![a-z])|[Tt]est(?:Debug|Release)?|connectedCheck"
    r"|^(?:\./)?(?:mvnw?\b.*\b(?:package|install|deploy|verify)\b|gradlew?\b.*\bbuild\b)"
    r"|^(?:bundle exec )?(?:lein|sbt|rake|grunt|gulp|just|task|mage|earthly|inv(?:oke)?|hatch|pdm|poe|turbo|nx|bazel(?:isk)?|pants"
    r"|dagger|ninja|meson|scons|waf|\./x(?:\.py)?|docker[ -]compose (?:run|up|build))\b(?!.*\b(?:publish|release|push)\b)"
)
_HARMLESS = re.compile(
    r"(?:echo|printf|git|cp|mv|rm|mkdir|cd|pip3? install|npm ci|apt(?:-get)?|export|curl|wget|tar)\b|\[|test -"
    r"|docker (?:login|pull)\b|(?:\./)?(?:mvnw?|gradlew?)\b.*(?:skipTests|test\.skip|-x test)"
)
_MAKE = re.compile(r"^g?make\b(?P<words>.*)")
_SCRIPT_RUN = re.compile(r"^(?:npm|yarn|pnpm|bun)\s+(?P<words>.*)")
_FILE_RUN = re.compile(
    r"^(?:(?:ba|z)?sh\s+(?:-\w+\s+)*|python3?\s+|node\s+|source\s+|\.\s+)?(?P<path>[\w.-]*(?:/[\w.-]+)+|[\w-]+\.(?:sh|py|js|mjs|cmd))"
)
_KEY = re.compile(r"^\s*-?\s*(?:run|script|entry|command|commands):\s*")
_STARTS = re.compile(r"(?:exec|spawn|run|call|system|output|\bsh|pytest\.main|unittest\.main)\w*\(\s*(.+)")
_QUOTES = re.compile(r"[\"'`,\[\]()]+")
_TARGET = re.compile(r"^(?P<names>[A-Za-z0-9_][\w .\-/]*?)\s*::?(?!=)(?P<needs>[^#=]*)")


class Recipes:
    """The named commands of a repository: targets of make, scripts of packages, and files."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._left = MAX_EXPANDED

    @cached_property
    def _targets(self) -> dict[str, list[str]]:
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
    def _scripts(self) -> dict[str, list[str]]:
        """Maps the names of scripts to what they run in any package: which one is meant, a command does not tell."""
        found: dict[str, list[str]] = {}
        for path in [path for path in self._snapshot.paths if f"/{path}".endswith("/package.json")][:MAX_PACKAGES]:
            own = _parsed(self._snapshot.read(path)).get("scripts")
            for name, command in own.items() if isinstance(own, dict) else ():
                found.setdefault(name, []).append(str(command))
        return found

    def expand(self, commands: Iterable[str]) -> list[str]:
        """Returns the commands and everything that they start, as far as the repository shows it."""
        found: dict[str, None] = {}
        waiting = deque((command, 0) for command in commands)
        while waiting and len(found) < MAX_LINES and self._left > 0:
            command, depth = waiting.popleft()
            for part in simple(command):
                if part not in found:
                    self._left -= 1
                    found[part] = None
                    waiting.extend((line, depth + 1) for line in (self._started(part) if depth < MAX_DEPTH else ()))
        return [*found, *(command for command, _ in waiting)]

    def of_step(self, step: Step) -> list[str]:
        """Returns everything that a step runs; of a foreign action only its name."""
        uses = [step.uses.partition("@")[0], *map(step.setting, ("script", "args", "arguments"))]
        return [*uses, *self.expand([*self._lines(step.uses), *(command.text for command in step.commands)])]

    def of_job(self, job: Job) -> list[str]:
        """Returns everything that a job runs."""
        own = [line for step in job.steps for line in self.of_step(step)]
        return [job.uses, *self.expand(self._lines(job.uses)), *own]

    def _started(self, command: str) -> list[str]:
        if match := _MAKE.match(command):
            words = [word for word in match["words"].split() if "=" not in word and not word.startswith("-")]
            return [line for word in words or list(self._targets)[:1] for line in self._targets.get(word, ())]
        if match := _SCRIPT_RUN.match(command):
            names = [f"{stage}{word}" for word in match["words"].split() for stage in ("pre", "", "post")]
            return [line for name in names for line in self._scripts.get(name, ())]
        match = _FILE_RUN.match(command)
        return self._lines(match["path"]) if match else []

    def _lines(self, path: str) -> list[str]:
        """Returns the commands in a file of the repository, or in the action of a folder."""
        path = posixpath.normpath(path)
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
    bare = (_PREFIX.sub("", part.strip()).strip() for part in re.split(r"&&|\|\|?|;", command))
    return (part for part in bare if part and not part.startswith("#"))


def may_test(lines: Iterable[str]) -> bool:
    """Tells whether some of the commands may be tests."""
    return any(_TESTING.search(line) and not _HARMLESS.match(line) for line in lines)


def _parsed(source: SourceText | None) -> dict[str, Any]:
    try:
        content = json.loads(source.text) if source else {}
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
