"""Finds changes to what the review itself goes by: guidelines, configuration of tools, and comments that silence a tool.

A branch may have good reasons for each; a person should see them beside the other findings.
"""

import re
from collections.abc import Iterator

from ..survey.finding import MAX_EVIDENCE, Evidence, Finding, Severity, cite
from .guidelines import is_guideline
from .subject import Change, Subject

MAX_FILES_EACH = 5
MAX_LINE_CHARACTERS = 1000
_CONFIGURATION = re.compile(
    r"^\.conductor/|^\.semgrep(ignore|\.ya?ml$)|(^|/)(\.?ruff\.toml|\.flake8|\.pylintrc|mypy\.ini|\.mypy\.ini|\.bandit|"
    r"\.eslintrc[^/]*|eslint\.config\.[^/]+|\.eslintignore|biome\.json|tslint\.json|\.golangci\.ya?ml|clippy\.toml|\.rubocop[^/]*|"
    r"\.hadolint\.ya?ml|\.trivyignore|\.gitleaks\.toml|\.snyk|sonar-project\.properties|\.pre-commit-config\.ya?ml|"
    r"codecov\.ya?ml|\.codecov\.ya?ml|phpstan[^/]*\.neon[^/]*|\.shellcheckrc|\.cppcheck-suppressions|CODEOWNERS)$"
)
_SUPPRESSION = re.compile(
    r"#\s*(?:noqa|type:\s*ignore|pylint:\s*disable|nosec|pragma:\s*no cover|mypy:\s*ignore|ruff:\s*noqa|fmt:\s*off|rubocop:disable"
    r"|shellcheck\s+disable|pyright:\s*ignore|checkov:skip|tfsec:ignore)"
    r"|(?://|/\*)\s*(?:eslint-disable|tslint:disable|@ts-(?:ignore|nocheck|expect-error)|nolint|NOSONAR|NOLINT|istanbul ignore"
    r"|c8 ignore|v8 ignore|prettier-ignore|biome-ignore|deno-lint-ignore|phpcs:ignore|@phpstan-ignore|swiftlint:disable|lint:ignore"
    r"|#nosec|coverity\[)|@SuppressWarnings|@Suppress\(|\[SuppressMessage|#!?\[allow\(|\bnosemgrep\b|conductor:\s*ignore",
)


def find_changed_rules(subject: Subject) -> Iterator[Finding]:
    """Yields the changes of a comparison to what it is judged by; nothing where nothing is compared."""
    for change in subject.changes if subject.is_compared else ():
        if is_guideline(change.path) or is_guideline(change.old_path):
            yield _changed(
                subject,
                change,
                "the guidelines that reviewers are given",
                "Reviewers got the text of the base; look if this one asks for less.",
            )
        elif _CONFIGURATION.search(change.path) or _CONFIGURATION.search(change.old_path):
            yield _changed(
                subject, change, "the configuration of the tools that judge it", "Look if it judges less now."
            )
    yield from _suppressions(subject)


def _changed(subject: Subject, change: Change, what: str, advice: str) -> Finding:
    place = _first_place(subject, change)
    verb = {"added": "adds", "deleted": "deletes", "renamed": "renames"}.get(change.status, "changes")
    return Finding(
        category="review-rules",
        severity=Severity.MEDIUM if change.status == "deleted" else Severity.LOW,
        title=f"The change {verb} {what}: {change.path}",
        claim=f"A branch that {verb} the rules that it is judged by needs a look of its own.",
        remedy=advice,
        evidence=(place,) if place else (),
        rule="facts/changed-rules",
    )


def _first_place(subject: Subject, change: Change) -> Evidence | None:
    """Returns the first changed line that can be quoted; of a file that changed its name only, its first line."""
    source = subject.read_changed(change)
    if source is None:
        return None
    changed = (number for number in range(1, len(source.lines) + 1) if not change.ranges or change.holds(number))
    return next((place for number in changed if (place := cite(source, number))), None)


def _suppressions(subject: Subject) -> Iterator[Finding]:
    """Yields a finding for each file with new suppressions, and one for all files where they are many."""
    found: dict[str, list[tuple[str, Evidence]]] = {}
    for change in subject.changes if subject.is_compared else ():
        if places := list(_silenced(subject, change)):
            found[change.path] = places
    if len(found) <= MAX_FILES_EACH:
        for path, places in found.items():
            yield _silencing(f"with {places[0][0]}: {path}", places)
        return
    every = [place for places in found.values() for place in places]
    yield _silencing(f"in {len(every)} places of {len(found)} files", every)
    if len(every) > MAX_EVIDENCE:
        subject.miss(f"The change silences tools in {len(every)} places; the first {MAX_EVIDENCE} are shown.")


def _silenced(subject: Subject, change: Change) -> Iterator[tuple[str, Evidence]]:
    source = subject.read_changed(change)
    if source is None:
        return
    for number, line in enumerate(source.lines, start=1):
        if change.holds(number) and (match := _SUPPRESSION.search(line[:MAX_LINE_CHARACTERS])):
            place = cite(source, number)
            if place is not None:
                yield match[0].strip(), place


def _silencing(where: str, places: list[tuple[str, Evidence]]) -> Finding:
    return Finding(
        category="review-rules",
        severity=Severity.LOW,
        title=f"The change silences a tool {where}",
        claim="These lines stop a tool from judging the places where they stand.",
        remedy="Look if what the tool would say is wrong, or only unwelcome.",
        evidence=tuple(place for _, place in places),
        rule="facts/suppression",
    )
