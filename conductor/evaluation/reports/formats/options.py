"""The wishes of a client about the form of a report: what it has dismissed, and how grave a finding must be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conductor.evaluation.evidence.findings import SEVERITIES
from conductor.evaluation.reports.overview import is_proven

DEFAULT_SEVERITY = "medium"


@dataclass(frozen=True, slots=True)
class Options:
    """The wishes. `dismissed` holds a reason by fingerprint; `min_severity` makes a failed test of a finding."""

    dismissed: Mapping[str, str] = field(default_factory=dict)
    include_dismissed: bool = False
    min_severity: str = DEFAULT_SEVERITY
    verified_only: bool = False


def read_options(header: Mapping[str, Any]) -> Options:
    """Returns the options in a request."""
    return Options(
        dismissed=header.get("dismissed", {}),
        include_dismissed=header.get("include_dismissed", False),
        min_severity=header.get("min_severity") or DEFAULT_SEVERITY,
        verified_only=header.get("verified_only", False),
    )


def with_dismissals(values: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """Returns a report's values with the reason at each finding that the client has dismissed."""
    findings = [
        {**finding, "dismissed": reason} if (reason := _reason(finding, options.dismissed)) else finding
        for finding in values["findings"]
    ]
    number = sum(bool(finding.get("dismissed")) for finding in findings)
    told = f" {number} of them {'is' if number == 1 else 'are'} dismissed." if number else ""
    return {**values, "findings": findings, "verdict": f"{values['verdict']}{told}"}


def _reason(finding: Mapping[str, Any], dismissed: Mapping[str, str]) -> str:
    """Returns why a finding is dismissed, under the present name of its file or the former one; empty where it is not."""
    return dismissed.get(finding.get("fingerprint", "")) or dismissed.get(finding.get("former_fingerprint", ""), "")


def is_counted(finding: Mapping[str, Any], options: Options) -> bool:
    """Returns whether a finding is grave enough, inside the scope, not dismissed, and proven where that is asked for."""
    is_grave = SEVERITIES.index(finding["severity"]) <= SEVERITIES.index(options.min_severity)
    is_known = finding.get("dismissed") or finding.get("outside_scope")
    return is_grave and not is_known and (is_proven(finding) or not options.verified_only)
