"""Reads the pipelines of a repository into one form: GitHub workflows and .gitlab-ci.yml, job by job.

It judges nothing. Which other systems there are is only named, for no rule knows their files.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ...reading.snapshot import Snapshot, SourceText
from ...reading.yaml_tree import Node, child, entries, items, last_line, line, parse, text, texts

MAX_PIPELINES = 300
MAX_STEPS = 2000
MAX_COMMANDS = 400
_WORKFLOW = re.compile(r"^\.github/workflows/[^/]+\.ya?ml$")
_GITLAB = ".gitlab-ci.yml"
_GITLAB_WORDS = re.compile(
    r"(stages|variables|default|include|workflow|image|services|cache|before_script|after_script)$"
)
# Systems that are known by their files only.
OTHER_SYSTEMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("Jenkins", re.compile(r"(^|/)Jenkinsfile[^/]*$")),
    ("CircleCI", re.compile(r"^\.circleci/.*\.ya?ml$")),
    ("Travis CI", re.compile(r"^\.travis\.yml$")),
    ("Azure Pipelines", re.compile(r"(^|/)\.?azure-pipelines[^/]*\.ya?ml$|^\.azure-pipelines/.*\.ya?ml$")),
    ("AppVeyor", re.compile(r"^\.?appveyor\.yml$")),
    ("Bitbucket Pipelines", re.compile(r"^bitbucket-pipelines\.yml$")),
    ("Drone or Woodpecker", re.compile(r"^\.(drone|woodpecker)(\.ya?ml$|/)")),
    ("Buildkite", re.compile(r"^\.buildkite/.*\.(ya?ml|sh)$")),
    ("Cirrus CI", re.compile(r"^\.cirrus\.(yml|star)$")),
    ("Semaphore", re.compile(r"^\.semaphore/.*\.ya?ml$")),
    ("TeamCity", re.compile(r"^\.teamcity/.*\.kts?$")),
)


@dataclass(frozen=True, slots=True)
class Command:
    """One command line of a script, continuations joined, and the line where it begins."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a job. A GitLab job is one step."""

    node: Node
    commands: tuple[Command, ...]

    @property
    def uses(self) -> str:
        """Returns the action that the step runs."""
        return text(child(self.node, "uses"))

    @property
    def folder(self) -> str:
        """Returns the folder in which the commands run."""
        return text(child(self.node, "working-directory")).strip("/").removeprefix("./")

    def setting(self, name: str) -> str:
        """Returns an input of the action."""
        return text(child(self.node, "with", name))


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a pipeline; `line` is where its name stands."""

    name: str
    line: int
    node: Node
    steps: tuple[Step, ...]

    @property
    def needs(self) -> list[str]:
        """Returns the jobs that must succeed before this one."""
        own = child(self.node, "needs")
        return texts(own) or [text(child(item, "job")) for item in items(own)]

    @property
    def uses(self) -> str:
        """Returns the workflow that the job calls."""
        return text(child(self.node, "uses"))


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One file that a CI system reads."""

    system: str
    source: SourceText
    root: Node
    jobs: tuple[Job, ...]

    @property
    def triggers(self) -> frozenset[str]:
        """Returns the events that start it."""
        return frozenset(texts(child(self.root, "on")))

    def job(self, name: str) -> Job | None:
        """Returns the job of a name."""
        return next((job for job in self.jobs if job.name == name), None)


def is_pipeline(path: str) -> bool:
    """Tells whether a file is a pipeline that is read here."""
    return path == _GITLAB or bool(_WORKFLOW.match(path))


def read_pipelines(snapshot: Snapshot) -> list[Pipeline]:
    """Returns the pipelines that parse and have no more steps than a reader could know."""
    found: list[Pipeline] = []
    for path in list(filter(is_pipeline, snapshot.paths))[:MAX_PIPELINES]:
        source = snapshot.read(path)
        root = parse(source.text) if source else None
        if source is not None and root is not None:
            jobs = tuple(_gitlab_jobs(source, root) if path == _GITLAB else _github_jobs(source, root))
            if sum(len(job.steps) for job in jobs) <= MAX_STEPS:
                found.append(Pipeline("GitLab" if path == _GITLAB else "GitHub", source, root, jobs))
    return found


def other_systems(snapshot: Snapshot) -> dict[str, list[str]]:
    """Maps each other CI system to its files here."""
    found: dict[str, list[str]] = {}
    for path in snapshot.paths:
        for name, pattern in OTHER_SYSTEMS:
            if pattern.search(path):
                found.setdefault(name, []).append(path)
    return found


def _github_jobs(source: SourceText, root: Node) -> Iterator[Job]:
    # A node that has many aliases is read once.
    known: dict[int, Step] = {}
    for name, number, node in entries(child(root, "jobs")):
        for step in items(child(node, "steps")):
            if id(step) not in known:
                known[id(step)] = Step(step, _commands(source, [child(step, "run")]))
        yield Job(name, number, node, tuple(known[id(step)] for step in items(child(node, "steps"))))


def _gitlab_jobs(source: SourceText, root: Node) -> Iterator[Job]:
    for name, number, node in entries(root):
        script = child(node, "script")
        if not _GITLAB_WORDS.match(name) and not name.startswith(".") and script is not None:
            yield Job(name, number, node, (Step(node, _commands(source, items(script) or [script])),))


def _commands(source: SourceText, scripts: list[Node]) -> tuple[Command, ...]:
    found: list[Command] = []
    for script in scripts:
        if script is None:
            continue
        begin, end = line(script), last_line(script)
        for command in re.sub(r"\s*\\\n\s*", " ", text(script)).splitlines()[:MAX_COMMANDS]:
            stripped = command.strip()
            if stripped and not stripped.startswith("#"):
                begin = _line_of(source, stripped, begin, end)
                found.append(Command(begin, stripped))
    return tuple(found[:MAX_COMMANDS])


def _line_of(source: SourceText, command: str, begin: int, end: int) -> int:
    """Returns the line in which a command begins: of folded text, YAML tells only where the whole begins."""
    numbers = range(begin, min(end, len(source.lines)) + 1)
    head = command.partition("  ")[0][:40]
    whole = next((number for number in numbers if head in source.lines[number - 1]), 0)
    # Of a command over several lines only its first part stands in the line.
    lines = ((number, source.lines[number - 1].strip()) for number in numbers)
    parts = ((number, line.rstrip("\\").strip()) for number, line in lines if line.endswith("\\") or len(line) > 3)
    return whole or next((number for number, part in parts if part and command.startswith(part)), begin)
