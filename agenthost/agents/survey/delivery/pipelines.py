"""Finds the workflows of GitHub, which the rules of this lens know, and names the other CI systems, whose files no rule knows."""

import re

from ...files import is_test
from ...reading.snapshot import Snapshot
from ...reading.workflows import Workflow, read_workflow

MAX_WORKFLOWS = 300
MAX_STEPS = 2000
_WORKFLOW = re.compile(r"^\.github/workflows/[^/]+\.ya?ml$")
_ACTION = re.compile(r"(^|/)action\.ya?ml$")
_OTHER_SYSTEMS = {
    "GitLab CI": r"\.gitlab-ci\.yml",
    "Jenkins": r"(.*/)?Jenkinsfile[^/]*",
    "CircleCI": r"\.circleci/.*\.ya?ml",
    "Travis CI": r"\.travis\.yml",
    "Azure Pipelines": r"(.*/)?\.?azure-pipelines[^/]*\.ya?ml|\.azure-pipelines/.*\.ya?ml",
    "AppVeyor": r"\.?appveyor\.yml",
    "Bitbucket Pipelines": r"bitbucket-pipelines\.yml",
    "Drone or Woodpecker": r"\.(drone|woodpecker)(\.ya?ml|/.*)",
    "Buildkite": r"\.buildkite/.*\.(ya?ml|sh)",
    "Cirrus CI": r"\.cirrus\.(yml|star)",
    "Semaphore": r"\.semaphore/.*\.ya?ml",
    "TeamCity": r"\.teamcity/.*\.kts?",
}


def is_workflow(path: str) -> bool:
    """Tells whether a file is a workflow."""
    return bool(_WORKFLOW.match(path))


def read_workflows(snapshot: Snapshot) -> list[Workflow]:
    """Returns the workflows that parse and have no more steps than a reader could know."""
    return _read(snapshot, list(filter(is_workflow, snapshot.paths)))


def read_actions(snapshot: Snapshot) -> list[Workflow]:
    """Returns the actions that the repository keeps for itself, or offers."""
    return _read(snapshot, [path for path in snapshot.paths if _ACTION.search(path) and not is_test(path)])


def _read(snapshot: Snapshot, paths: list[str]) -> list[Workflow]:
    sources = map(snapshot.read, paths[:MAX_WORKFLOWS])
    read = [workflow for source in sources if source and (workflow := read_workflow(source))]
    return [workflow for workflow in read if sum(len(job.steps) for job in workflow.jobs) <= MAX_STEPS]


def other_systems(snapshot: Snapshot) -> dict[str, list[str]]:
    """Maps each other CI system to its files here."""
    found = {
        system: [path for path in snapshot.paths if re.fullmatch(pattern, path)]
        for system, pattern in _OTHER_SYSTEMS.items()
    }
    return {system: paths for system, paths in found.items() if paths}
