"""Finds GitHub Actions workflows through which a stranger's pull request or comment runs code with the project's rights.

A line-based reader of the YAML that such files are written in; it knows `on`, `uses`, `ref`, `run` and `script`, and nothing else.
"""

import re
from collections.abc import Iterator

from ..finding import Finding, Severity, cite
from ..reading.snapshot import SourceText
from ..sighting import Rule, Sighting, merge
from ..survey import Survey

CHECKOUT = Rule(
    "untrusted-checkout",
    Severity.HIGH,
    "A pull request's code is checked out with the repository's own rights in {path}",
    "{count} workflows check out a pull request's code with the repository's own rights",
    "On pull_request_target the job holds a write token and secrets; any later step that builds or runs the checkout "
    "hands them to the author.",
    "Use pull_request, or do not check out the head.",
)
INJECTION = Rule(
    "workflow-injection",
    Severity.HIGH,
    "Text that strangers write is pasted into a script in {path}",
    "{count} places paste text that strangers write into workflow scripts",
    "The text is expanded before the shell sees it, so a title or branch name such as `$(…)` runs as a command.",
    "Pass it in `env:` and quote the variable.",
)
_STRANGERS_TEXT = re.compile(
    r"\$\{\{\s*github\.(event\.(issue\.(title|body)|pull_request\.(title|body|head\.(ref|label))|comment\.body|review\.body"
    r"|review_comment\.body|discussion\.(title|body)|head_commit\.message|workflow_run\.head_branch)|head_ref)\s*\}\}"
)
_HEAD_REF = re.compile(
    r"\bref:\s*['\"]?\$\{\{.*(github\.event\.pull_request\.head\.(sha|ref)|github\.head_ref|pull_request\.merge_commit_sha).*\}\}"
    r"|\bref:\s*['\"]?refs/pull/\$\{\{.*\}\}/(head|merge)"
)
_SCRIPT_KEY = re.compile(r"^(\s*)(?:-\s+)?(run|script):(.*)$")
# Triggers that anyone can pull and that give the job the repository's rights. A plain `pull_request` of a fork has none.
_PRIVILEGED = re.compile(
    r"\b(pull_request_target|issues|issue_comment|discussion|discussion_comment|workflow_run|pull_request_review_comment)\b"
)


def find_workflow_risks(survey: Survey) -> list[Finding]:
    """Looks through .github/workflows and composite actions of the repository."""
    return merge("risks", _sightings(survey))


def _sightings(survey: Survey) -> Iterator[Sighting]:
    for path in survey.snapshot.paths:
        if path.startswith(".github/workflows/") and path.endswith((".yml", ".yaml")):
            source = survey.snapshot.read(path)
            triggers = _triggers(source) if source else ""
            if source and _PRIVILEGED.search(triggers):
                yield from _injections(source)
            if source and "pull_request_target" in triggers:
                yield from _checkouts(source)


def _triggers(source: SourceText) -> str:
    """Returns the text of the `on:` section, without comments."""
    kept: list[str] = []
    inside = False
    for line in source.lines:
        if re.match(r"^['\"]?on['\"]?\s*:", line):
            inside = True
        elif line and not line[0].isspace() and not line.startswith(("#", "-")):
            inside = False
        if inside:
            kept.append(line.partition("#")[0])
    return "\n".join(kept)


def _checkouts(source: SourceText) -> Iterator[Sighting]:
    for number, line in enumerate(source.lines, 1):
        if not line.lstrip().startswith("#") and _HEAD_REF.search(line):
            above = "\n".join(source.lines[max(number - 8, 0) : number])
            if "actions/checkout" in above and not _gated(source):
                detail = "a workflow on pull_request_target checks out the head of the pull request"
                yield Sighting(CHECKOUT, cite(source.path, source.lines, number), detail)


def _gated(source: SourceText) -> bool:
    """Returns whether a maintainers' label, an environment with reviewers or an association check stands before the job."""
    return bool(
        re.search(r"\blabeled\b|\benvironment:|author_association|github\.actor ==|\.user\.login ==", source.text)
    )


def _injections(source: SourceText) -> Iterator[Sighting]:
    for number, line in _script_lines(source):
        match = _STRANGERS_TEXT.search(line)
        if match:
            yield Sighting(INJECTION, cite(source.path, source.lines, number), f"a script contains `{match.group()}`")


def _script_lines(source: SourceText) -> Iterator[tuple[int, str]]:
    depth = -1
    for number, line in enumerate(source.lines, 1):
        indent = len(line) - len(line.lstrip())
        if depth >= 0 and (not line.strip() or indent > depth):
            yield number, line
            continue
        depth = -1
        key = _SCRIPT_KEY.match(line)
        if key and key[3].strip()[:1] in {"|", ">"}:
            depth = line.index(key[2])
        elif key:
            yield number, key[3]
