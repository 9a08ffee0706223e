"""The wishes of a client about the form of a report: what it has dismissed, and how grave a finding must be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conductor.evaluation.evidence.findings import SEVERITIES

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
        {**finding, "dismissed": reason}
        if (reason := options.dismissed.get(finding.get("fingerprint", "")))
        else finding
        for finding in values["findings"]
    ]
    return {**values, "findings": findings}


def is_counted(finding: Mapping[str, Any], options: Options) -> bool:
    """Returns whether a finding is grave enough, not dismissed, and proven where that is asked for."""
    is_grave = SEVERITIES.index(finding["severity"]) <= SEVERITIES.index(options.min_severity)
    is_proven = finding["status"] != "missing" and finding.get("verdict") != "refuted"
    return is_grave and not finding.get("dismissed") and (is_proven or not options.verified_only)
