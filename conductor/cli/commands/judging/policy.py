"""Options that turn a run's findings into an exit code."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from conductor.cli.text.failure import CommandError
from conductor.v1 import run_service_pb2

if TYPE_CHECKING:
    from conductor.cli.commands.judging.baseline_file import Entry

Evidence = run_service_pb2.Evidence
Finding = run_service_pb2.Finding
# From the least severe on: the order of `Finding.Severity`.
SEVERITIES = ("info", "low", "medium", "high", "critical")

_OPTIONS = (
    click.option(
        "--fail-on", type=click.Choice(SEVERITIES), help="Exit with 5 for a finding of this severity or worse."
    ),
    click.option(
        "--verified-only",
        is_flag=True,
        help="Let --fail-on count only findings whose quotes were found, or whose rule the flow's table keeps, and that no sceptic"
        " refuted.",
    ),
    click.option(
        "--baseline",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Do not count the findings in this file; see `conductor baseline`.",
    ),
    click.option("--include-dismissed", is_flag=True, help="Keep findings of the baseline in SARIF, as suppressed."),
    click.option("--allow-incomplete", is_flag=True, help="Exit with 0 instead of 6 where a part was not judged."),
)

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Policy:
    """Says which findings fail a run, and whether it may be incomplete. An empty `fail_on` lets every finding pass."""

    fail_on: str = ""
    is_verified_only: bool = False
    is_incomplete_allowed: bool = False
    baseline: Mapping[str, "Entry"] = field(default_factory=dict)  # by fingerprint
    is_dismissed_shown: bool = False

    def counts(self, finding: Finding) -> bool:
        """Returns whether a finding is one that must not be."""
        if not self.fail_on or finding.severity < severity(self.fail_on):
            return False
        if self.known(finding) is not None or finding.outside_scope:
            return False
        is_placed = finding.status == Evidence.STATUS_PLACED and finding.calibrated
        is_found = finding.status in (Evidence.STATUS_VERIFIED, Evidence.STATUS_MOVED) or is_placed
        is_proven = is_found and finding.verdict != Finding.VERDICT_REFUTED
        return is_proven or not self.is_verified_only

    def known(self, finding: Finding) -> "Entry | None":
        """Returns a finding's entry in the baseline, under the present name of its file or the former one.

        A folded finding that has more places than the entry knows is another one.
        """
        entry = self.baseline.get(finding.fingerprint) or self.baseline.get(finding.former_fingerprint)
        return None if entry is not None and entry.has_grown(finding.total) else entry

    def ask(self, request: run_service_pb2.GetReportRequest, known: Mapping[str, str]) -> None:
        """Adds to a request for a report which findings count; `known` are those of the run that the baseline dismisses."""
        request.dismissed.update(known)
        request.include_dismissed = self.is_dismissed_shown
        request.verified_only = self.is_verified_only
        if self.fail_on:
            request.min_severity = severity(self.fail_on)


def policy_options(command: Command) -> Command:
    """Adds the options of a policy."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def policy_of(options: Mapping[str, Any], workspace: Path, *, is_always: bool) -> Policy | None:
    """Returns the policy that the options ask for; None where they ask for none, unless a run is always judged."""
    if options["verified_only"] and not options["fail_on"]:
        raise CommandError("--verified-only says what --fail-on counts; add  --fail-on high")
    file = options["baseline"]
    if not (options["fail_on"] or options["allow_incomplete"] or file or is_always):
        return None
    from conductor.cli.commands.judging.base_revision import baseline_of

    return Policy(
        options["fail_on"] or "",
        options["verified_only"],
        options["allow_incomplete"],
        baseline_of(file, workspace, options) if file else {},
        options["include_dismissed"],
    )


def severity(word: str) -> Finding.Severity.ValueType:
    """Returns SEVERITY_HIGH for `high`."""
    return Finding.Severity.Value(f"SEVERITY_{word.upper()}")
