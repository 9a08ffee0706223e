"""Finds runners and actions that GitHub has switched off, and versions that YAML cuts short.

The tables hold what has an announced end; archived actions are left to zizmor.
"""

import re
from collections.abc import Iterator

from ...reading.yaml_tree import Node, child, entries, is_plain, items, line, text
from ..finding import Severity, cite
from ..sighting import Rule, Sighting
from .pipelines import Job, Pipeline

RUNNER = Rule(
    "lens:retired-runner",
    Severity.MEDIUM,
    "A job asks for a runner that GitHub has removed",
    "{count} jobs ask for runners that GitHub has removed",
    "The job is never started: it waits until it is cancelled.",
    "Name a current image, as ubuntu-latest.",
)
BROKEN = Rule(
    "lens:disabled-action",
    Severity.MEDIUM,
    "A step uses a version of an action that GitHub has switched off",
    "{count} steps use versions of actions that GitHub has switched off",
    "The step fails at once.",
    "Move to the current major version.",
)
AGED = Rule(
    "lens:retired-action",
    Severity.LOW,
    "A step uses an action made for a version of Node that GitHub has retired",
    "{count} steps use actions made for versions of Node that GitHub has retired",
    "They run on a newer Node than they were made for, and get no more fixes.",
    "Move to the current major versions, and let Dependabot or Renovate keep them.",
)
RUNTIME = Rule(
    "lens:ended-runtime",
    Severity.LOW,
    "CI runs a version of Node that gets no more security fixes",
    "CI runs versions of Node that get no more security fixes in {count} places",
    "Packages leave these versions behind, and holes in them stay open.",
    "Move to a version that is supported, wherever the project names one.",
)
COMMAND = Rule(
    "lens:retired-command",
    Severity.LOW,
    "A step sets its output by a command that GitHub has retired",
    "{count} steps set their outputs by commands that GitHub has retired",
    "Anything that a step prints can be taken for such a command, and GitHub is to switch them off.",
    "Append `name=value` to the file that $GITHUB_OUTPUT names.",
)
CUT = Rule(
    "lens:cut-version",
    Severity.HIGH,
    "A version without quotes is read as a number and loses its zero",
    "{count} versions without quotes are read as numbers and lose their zeros",
    "YAML reads 3.10 as 3.1, so CI asks for another version than the one that is written.",
    "Put the version in quotes.",
)
_RUNNERS = re.compile(
    r"^(ubuntu-(?:14|16|18|20)\.04|macos-(?:10\.15|1[123](?:\.0)?)(?:-\w+)?|windows-(?:2012\S*|2016|2019))$"
)
# The last major version that no longer runs.
_BROKEN = {"actions/upload-artifact": 3, "actions/download-artifact": 3, "actions/cache": 2}
# The last major version that was made for Node 16 or older.
_AGED = {
    **dict.fromkeys(
        ("actions/checkout", "actions/setup-node", "actions/setup-java", "actions/setup-dotnet", "actions/cache"), 3
    ),
    **dict.fromkeys(("actions/setup-python", "actions/setup-go", "actions/labeler", "docker/build-push-action"), 4),
    **dict.fromkeys(
        ("docker/login-action", "docker/setup-buildx-action", "docker/setup-qemu-action", "pnpm/action-setup"), 2
    ),
    **dict.fromkeys(("codecov/codecov-action", "golangci/golangci-lint-action", "peaceiris/actions-gh-pages"), 3),
    **dict.fromkeys(("actions-rs/toolchain", "actions-rs/cargo", "gradle/wrapper-validation-action"), 1),
    "docker/metadata-action": 4,
    "actions/github-script": 6,
    "actions/stale": 8,
}
_LAST_ENDED_NODE = 20
_NODE = re.compile(r"^v?(\d+)(?:\.[\dx*]+)*$")
_RETIRED_COMMAND = re.compile(r"\becho\s+[\"']?::(?:set-output|save-state|set-env|add-path)\b")
_MAJOR = re.compile(r"^v?(\d+)(?:[.\s]|$)")
_CUT = re.compile(r"^\d+\.\d*0$")
_VERSION_KEY = re.compile(r"^(python|go|ruby|php|node|java|dotnet)(-?versions?)?$|^version$")


def find_retired(pipeline: Pipeline) -> Iterator[Sighting]:
    """Yields each retired runner and action, and each version that YAML cuts."""
    if pipeline.system != "GitHub":
        return
    for job in pipeline.jobs:
        yield from _runners(pipeline, job)
        for step in job.steps:
            yield from _action(pipeline, job, step.node)
            yield from _cut(pipeline, child(step.node, "with"))
            node = child(step.node, "with", "node-version")
            if (match := _NODE.match(text(node))) and int(match[1]) <= _LAST_ENDED_NODE:
                yield _sighting(pipeline, RUNTIME, node, f"Node {match[1]}")
            for command in step.commands:
                if match := _RETIRED_COMMAND.search(command.text):
                    place = cite(pipeline.source.path, pipeline.source.lines, command.line)
                    yield Sighting(
                        COMMAND, place, f"job `{job.name}` uses `{match.group().rpartition('echo')[2].strip()}`"
                    )
        yield from _cut(pipeline, child(job.node, "strategy", "matrix"))


def _runners(pipeline: Pipeline, job: Job) -> Iterator[Sighting]:
    asked = child(job.node, "runs-on")
    wanted = [asked, *items(asked)]
    if match := re.fullmatch(r"\$\{\{\s*matrix\.([\w-]+)\s*\}\}", text(asked)):
        matrix = child(job.node, "strategy", "matrix")
        included = [child(item, match[1]) for item in items(child(matrix, "include"))]
        wanted = [*items(child(matrix, match[1])), *included]
    for node in wanted:
        if _RUNNERS.match(text(node)):
            yield _sighting(pipeline, RUNNER, node, f"job `{job.name}` asks for `{text(node)}`")


def _action(pipeline: Pipeline, job: Job, step: Node) -> Iterator[Sighting]:
    node = child(step, "uses")
    name, _, version = text(node).partition("@")
    raw = pipeline.source.lines[line(node) - 1] if node is not None else ""
    # A pinned hash tells its version in a comment.
    comment = raw.partition("#")[2].strip() if re.fullmatch(r"[0-9a-f]{40}", version) else version
    major = _MAJOR.match(comment)
    if major and int(major[1]) <= _BROKEN.get(name, -1):
        yield _sighting(pipeline, BROKEN, node, f"job `{job.name}` uses `{name}@v{major[1]}`")
    elif major and int(major[1]) <= _AGED.get(name, -1):
        yield _sighting(pipeline, AGED, node, f"`{name}@v{major[1]}`")


def _cut(pipeline: Pipeline, settings: Node) -> Iterator[Sighting]:
    for key, _, value in entries(settings):
        for node in [value, *items(value)]:
            if _VERSION_KEY.match(key) and is_plain(node) and _CUT.match(text(node)) and not text(node).endswith(".0"):
                number = float(text(node))
                yield _sighting(pipeline, CUT, node, f"`{key}` holds {text(node)}, which is read as {number:g}")


def _sighting(pipeline: Pipeline, rule: Rule, node: Node, detail: str) -> Sighting:
    return Sighting(rule, cite(pipeline.source.path, pipeline.source.lines, line(node)), detail)
