"""Options that turn a run's findings into an exit code."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from conductor.cli.text.failure import CommandError
from conductor.v1 import run_service_pb2

Finding = run_service_pb2.Finding
# From the least severe on: the order of `Finding.Severity`.
SEVERITIES = ("info", "low", "medium", "high", "critical")

_OPTIONS = (
    click.option(
        "--fail-on", type=click.Choice(SEVERITIES), help="Exit with 5 for a finding of this severity or worse."
    ),
    click.option("--verified-only", is_flag=True, help="Let --fail-on count only findings whose quotes are in place."),
    click.option("--allow-incomplete", is_flag=True, help="Exit with 0 instead of 6 where a part was not judged."),
)

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Policy:
    """What a run must not have found, and whether it may be incomplete. An empty `fail_on` lets every finding pass."""

    fail_on: str = ""
    is_verified_only: bool = False
    is_incomplete_allowed: bool = False

    def counts(self, finding: Finding) -> bool:
        """Returns whether a finding is one that must not be."""
        if not self.fail_on or finding.severity < severity(self.fail_on):
            return False
        is_verified = finding.status == run_service_pb2.Evidence.STATUS_VERIFIED
        return is_verified or not self.is_verified_only


def policy_options(command: Command) -> Command:
    """Adds the options of a policy."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def policy_of(options: Mapping[str, Any], *, is_always: bool) -> Policy | None:
    """Returns the policy that the options ask for; None where they ask for none, unless a run is always judged."""
    if options["verified_only"] and not options["fail_on"]:
        raise CommandError("--verified-only says what --fail-on counts; add  --fail-on high")
    if not (options["fail_on"] or options["allow_incomplete"] or is_always):
        return None
    return Policy(options["fail_on"] or "", options["verified_only"], options["allow_incomplete"])


def severity(word: str) -> Finding.Severity.ValueType:
    """Returns SEVERITY_HIGH for `high`."""
    return Finding.Severity.Value(f"SEVERITY_{word.upper()}")
