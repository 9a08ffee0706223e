"""Doubts results about workflows and commands: packages that have versions, shared workflows, permissions told twice."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping

from ...reading.permissions import uses_nothing
from ...reading.snapshot import SourceText
from ...reading.workflows import Job, Workflow, read_workflow
from ...reading.yaml_tree import child, is_available, line, text
from ..results import Result

REPEATED = "repeated"  # what is told of the whole file
MAX_BLOCK_LINES = 100
MAX_SMALL_STEPS = 2
_UNSET = "no permissions: block"
_AT_THE_TOP = re.compile(r": write is overly broad at the workflow level")
# By what an action's line holds, why its tag or branch is not told.
_SHARED = {
    "/.github/workflows/": "call an organization's shared workflows",
    "google/oss-fuzz/": "use google/oss-fuzz, which has no releases",
}
_INSTALL = re.compile(
    r"\b(?:npm|pnpm|yarn|bun|pip3?|pipx|gem|uv|cargo)\s+(?:-\S+\s+|pip\s+|tool\s+|global\s+)*"
    r"(?:install|i|add|ci)\b(?P<words>[^\n;&|]*)"
)
_VALUED = frozenset({"--prefix", "-C", "--cwd", "--registry", "--cache", "--loglevel", "-r", "-c", "--requirement"})
_VERSIONED = re.compile(r".[^@]*@(?!latest$|next$|\*$).+|.+(==|:\d).*")
_LOCAL = re.compile(r"[./~].*|.*\.(tgz|whl|gem)")
_HEAD = re.compile(r"\s*(?:- )?[\w-]+:\s*$|\s*- ")
# As the rule workflow-branch-gets-secret has them.
_BRANCH = re.compile(
    r"""uses:\s*["']?[\w.-]+/[^@\s]+@(?:main|master|HEAD|trunk|dev|develop|nightly|releases/\S+)["']?\s*(?:#|$)"""
)
_JOB = re.compile(rb"\s*run:\s*")
_SECRET = re.compile(r"\bsecrets\.[A-Za-z_]|\bgithub\.token\b")
_OWN_TOKEN = re.compile(r"\bsecrets\.(?!GITHUB_TOKEN\b)\w")
_GIVEN_TOKEN = re.compile(r"\bsecrets\.GITHUB_TOKEN\b|\bgithub\.token\b")


def _has_versions(result: Result, content: bytes) -> str:
    commands = re.sub(r"\$\{\{.*?\}\}", "$VALUE", "\n".join(_script(result, content)))
    found = [list(_packages(match["words"])) for match in _INSTALL.finditer(commands)]
    is_versioned = found and all(_VERSIONED.fullmatch(name) for packages in found for name in packages)
    return "install packages in given versions, or those of a manifest" if is_versioned else ""


def _packages(words: str) -> Iterator[str]:
    """Yields the packages that a command names, without options, their values, and local files."""
    given = words.split()
    if "-v" in given or "--version" in given:  # of gem
        return
    for before, word in zip(["", *given], given, strict=False):
        bare = word.strip("\"'")
        if before not in _VALUED and not bare.startswith("-") and not _LOCAL.fullmatch(bare):
            yield bare


def _script(result: Result, content: bytes) -> list[str]:
    """Returns the lines of a command: with those that it goes on with, or that a block of YAML holds."""
    lines = content.decode(errors="replace").split("\n")[max(result.start_line, 1) - 1 :][:MAX_BLOCK_LINES]
    first = lines[0] if lines else ""
    if re.search(r":\s*[|>][+-]?\s*$", first):
        deep = len(first) - len(first.lstrip(" -"))
        inside = (len(line) - len(line.lstrip()) > deep or not line.strip() for line in lines[1:])
        return lines[1 : next((at for at, is_inside in enumerate(inside, 1) if not is_inside), len(lines))]
    last = next((at for at, line in enumerate(lines) if not line.rstrip().endswith("\\")), len(lines))
    return [" ".join(line.rstrip().removesuffix("\\") for line in lines[: last + 1])]


def _is_shared(result: Result, content: bytes) -> str:
    """Returns that a workflow is shared; that a rule of ours tells a branch that gets a secret, so that it is told once."""
    here = _line(result, content)
    if why := next((why for part, why in _SHARED.items() if part in here), ""):
        return why
    if not _BRANCH.search(here):
        return ""
    begins = sorted(line(step.node) for job in _jobs(result, content) for step in job.steps)
    at = bisect_right(begins, result.start_line)
    lines = content.decode(errors="replace").split("\n")[begins[at - 1] - 1 if at else 0 :]
    step = lines[: begins[at] - begins[at - 1] if 0 < at < len(begins) else len(lines)]
    held = "\n".join(step[: next((n for n, one in enumerate(step[1:], 1) if _depth(one) < _depth(step[0])), len(step))])
    return REPEATED if _SECRET.search(held) else ""


def _is_no_excess(result: Result, content: bytes) -> str:
    """Returns that nothing may be written, or that another result tells of the file: of all jobs, its own or the first is told."""
    if "read-all" in result.message:
        return "give permission to read only"
    if _AT_THE_TOP.search(result.message):
        return _is_for_most(result, content)
    here = _line(result, content)
    if _UNSET not in result.message or not here[:1].isspace():
        return ""
    unset = _unset_jobs(result, content)
    is_called = bool(
        re.search(r"(?m)^on:\s*\[?\s*workflow_call|^\s+workflow_call\s*:", content.decode(errors="replace"))
    )
    is_told_above = len(unset) > 1 or (len(_jobs(result, content)) > 1 and not is_called)
    return REPEATED if is_told_above and (not is_called or result.start_line != unset[0].line) else ""


def _is_for_most(result: Result, content: bytes) -> str:
    """Returns that most jobs of the workflow may need what is given to all of them, or that there is one job."""
    workflow = _workflow(result, content)
    jobs = workflow.jobs if workflow else ()
    idle = sum(uses_nothing(workflow, job) for job in jobs) if workflow else 0
    return "" if len(jobs) > 1 and idle and 2 * idle >= len(jobs) else "give what most jobs may need"


def _kind_of_permissions(result: Result, content: bytes) -> str:
    if _UNSET not in result.message:
        return ""
    source = content.decode(errors="replace")
    is_own = _OWN_TOKEN.search(source) and not _GIVEN_TOKEN.search(source)
    jobs = _unset_jobs(result, content)
    is_alone = len(jobs) == len(_jobs(result, content)) == 1
    is_small = is_alone and 0 < len(jobs[0].steps) <= MAX_SMALL_STEPS  # a called workflow has none
    return "own-token" if is_own and is_small else "unset"


def _is_job(result: Result, content: bytes) -> str:
    lines = content.split(b"\n")
    is_one = 0 < result.start_line <= len(lines) and _JOB.fullmatch(lines[result.start_line - 1])
    return "are jobs that are called run" if is_one else ""


def _is_own_token(result: Result, content: bytes) -> str:
    if why := _is_job(result, content):
        return why
    script = "\n".join(_script(result, content))
    is_own = _GIVEN_TOKEN.search(script) and not _OWN_TOKEN.search(script)
    return "hold GitHub's own token, which has no sign that a shell reads" if is_own else ""


def _unset_jobs(result: Result, content: bytes) -> list[Job]:
    return [job for job in _jobs(result, content) if child(job.node, "permissions") is None]


def _jobs(result: Result, content: bytes) -> tuple[Job, ...]:
    """Returns the jobs of a workflow; none where no YAML can be read."""
    workflow = _workflow(result, content)
    return workflow.jobs if workflow else ()


def _workflow(result: Result, content: bytes) -> Workflow | None:
    source = content.decode(errors="replace")
    return read_workflow(SourceText(result.path, source, tuple(source.split("\n")))) if is_available() else None


def _is_meant(result: Result, content: bytes) -> str:
    """Returns that a comment gives the reason for what never runs, or that its job only hands outputs on."""
    lines = content.decode(errors="replace").split("\n")[: max(result.start_line, 1)]
    here, above = lines[-1], lines[-2::-1]
    if above and _HEAD.match(above[0]):  # the first line of the job or the step
        above = above[1:]
    if " #" in here or (above and above[0].lstrip().startswith("#")):
        return "a comment gives a reason for"
    jobs = [job for job in _jobs(result, content) if job.line < result.start_line]
    is_empty = jobs and all(re.search("false", text(child(step.node, "if"))) for step in jobs[-1].steps)
    return "stand in a job that only hands outputs on" if is_empty and child(jobs[-1].node, "outputs") else ""


def _is_needed(result: Result, content: bytes) -> str:
    """Returns that other jobs wait for the one that asks for a runner."""
    jobs = _jobs(result, content)
    here = [job.name for job in jobs if job.line <= result.start_line][-1:]
    return "needed" if any(name in job.needs for job in jobs for name in here) else ""


def _depth(line: str) -> int:
    """Returns how far a line is indented; very far for one that says nothing."""
    return len(line) - len(line.lstrip()) if line.strip() else len(line) + MAX_BLOCK_LINES


def _line(result: Result, content: bytes) -> str:
    lines = content.decode(errors="replace").split("\n")
    return lines[result.start_line - 1] if 0 < result.start_line <= len(lines) else ""


LOOKS: Mapping[str, Callable[[Result, bytes], str]] = {
    "adhoc-packages": _has_versions,
    "unpinned-uses": _is_shared,
    "excessive-permissions": _is_no_excess,
    "workflow-never-runs": _is_meant,
    "workflow-input-in-script": _is_job,
    "workflow-secret-in-script": _is_own_token,
}
KINDS: Mapping[str, Callable[[Result, bytes], str]] = {
    "excessive-permissions": _kind_of_permissions,
    "workflow-runner-removed": _is_needed,
}
