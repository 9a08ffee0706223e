"""Weighs what stands in a job by the rest of it: actions without a commit, and conditions that read variables.

Beside secrets and rights to write, such an action is grave; elsewhere it is a slip, a branch, or light.

A project that takes all of its actions by tags means it, and pins no more for being told. It acts where a stolen action would
get a secret or a right to write, and where its other actions are pinned.
"""

import re
from functools import lru_cache
from itertools import chain
from pathlib import Path

from ...reading.snapshot import SourceText, read_bytes
from ...reading.workflows import Job, Workflow, read_workflow
from ...reading.yaml_tree import Node, child, is_available, last_line, line, text, texts
from ..results import Result

CONDITION = "workflow-condition-on-other-env"
SEEN = "read what their step may see"
_READ = re.compile(r"(?<![\w.'-])env\.(?P<name>[A-Za-z_]\w*)")
SLIP, BRANCH, LIGHT = "slip", "branch", "light"
MAX_WORKFLOWS = 300
MAX_WORKFLOW_BYTES = 400_000
MIN_PINNED = 3
_USES = re.compile(r"""(?m)^\s*(?:-\s+)?uses:\s*["']?(?P<action>[\w-]+/[\w./-]+)@(?P<reference>[^\s"'#]+)""")
_HASH = re.compile(r"[0-9a-f]{40}")
_GITHUBS = ("actions/", "github/")
_BRANCH = re.compile(r"main|master|HEAD|trunk|dev|develop|nightly|releases/\S+")
# One whose branches are its interface.
_BY_BRANCH = ("dtolnay/rust-toolchain",)
# With GitHub's token the permissions say what is at stake; a token that only uploads a report is no loss.
_SECRET = re.compile(r"\bsecrets\.(?!GITHUB_TOKEN\b|CODECOV_|COVERALLS_|CODACY_|CODECLIMATE_|CC_TEST_)[A-Za-z_]\w*")
_WRITES = ("contents", "packages", "id-token", "actions")
# These work only where the token may write.
_PUBLISHES = re.compile(r"(?i)publish|release|deploy|gh-pages")


def kind_in_tree(result: Result, content: bytes, root: Path) -> str:
    """Returns how a use weighs; nothing where it is grave, or no YAML can be read."""
    source = content.decode(errors="replace")
    lines = tuple(source.split("\n"))
    workflow = read_workflow(SourceText(result.path, source, lines)) if is_available() else None
    here = _USES.match(lines[result.start_line - 1]) if 0 < result.start_line <= len(lines) else None
    if workflow is None or here is None or _is_grave(workflow, result.start_line, here["action"]):
        return ""
    if _pins(root):
        return SLIP
    is_branch = _BRANCH.fullmatch(here["reference"]) and here["action"] not in _BY_BRANCH
    return BRANCH if is_branch else LIGHT


def _is_grave(workflow: Workflow, number: int, action: str) -> bool:
    """Tells whether what stands in a line shares its job with a secret or a right to write. A composite action has neither."""
    job = next((job for job in reversed(workflow.jobs) if job.line <= number <= last_line(job.node)), None)
    if job is None or job.name == "runs":
        return False
    return _holds_secret(workflow, job) or _may_write(workflow, job, action)


def _holds_secret(workflow: Workflow, job: Job) -> bool:
    held = _lines(workflow, job.node) + _lines(workflow, child(workflow.root, "env"))
    return bool(_SECRET.search(held))


def _may_write(workflow: Workflow, job: Job, action: str) -> bool:
    given = child(job.node, "permissions") or child(workflow.root, "permissions")
    if given is None:
        return bool(_PUBLISHES.search(action))
    return text(given) == "write-all" or any(text(child(given, name)) == "write" for name in _WRITES)


def _lines(workflow: Workflow, node: Node) -> str:
    """Returns the lines of a node, without comments that fill one."""
    lines = workflow.source.lines[line(node) - 1 : last_line(node)] if node is not None else ()
    return "\n".join(one for one in lines if not one.lstrip().startswith("#"))


@lru_cache(maxsize=8)
def _pins(root: Path) -> bool:
    """Tells whether a repository takes most actions of others by their commits."""
    folder = root / ".github" / "workflows"
    paths = sorted(chain(folder.glob("*.yml"), folder.glob("*.yaml")))[:MAX_WORKFLOWS]
    sources = ((read_bytes(path, MAX_WORKFLOW_BYTES) or b"").decode(errors="replace") for path in paths)
    found = [match for source in sources for match in _USES.finditer(source)]
    references = [match["reference"] for match in found if not match["action"].startswith(_GITHUBS)]
    pinned = sum(bool(_HASH.fullmatch(reference)) for reference in references)
    return pinned >= MIN_PINNED and pinned * 4 >= len(references) * 3


def is_seen(result: Result, content: bytes) -> str:
    """Returns that a variable may have a value: all but one that only other steps of the file are given by `env`."""
    source = content.decode(errors="replace")
    workflow = read_workflow(SourceText(result.path, source, tuple(source.split("\n")))) if is_available() else None
    found = [
        (job, step)
        for job in (workflow.jobs if workflow else ())
        for step in job.steps
        if line(step.node) <= result.start_line <= last_line(step.node)
    ]
    if workflow is None or len(found) != 1:
        return SEEN
    job, step = found[0]
    seen = {name for node in (workflow.root, job.node, step.node) for name in _variables(node)}
    others = {name for one in workflow.jobs for other in one.steps for name in _variables(other.node)}
    names = set(_READ.findall(text(child(step.node, "if"))))
    missing = (names & others) - seen
    # A script may set it for all later steps: none of them names it as what is set.
    is_set = any(re.search(rf"(?<![\w.]){name}(=|<<)", source) for name in missing)
    is_open = not all(text(child(node, "env")) == "" for node in (workflow.root, job.node, step.node))
    return "" if missing and not is_set and not is_open else SEEN


def _variables(node: Node) -> list[str]:
    return texts(child(node, "env"))
