"""Findings: the JSON of the contract as messages."""

from collections.abc import Mapping
from typing import Any

from conductor.api.messages.names import step_name
from conductor.v1 import run_service_pb2 as pb

# Rank 0 is the most severe, as the store orders them.
SEVERITIES = ("critical", "high", "medium", "low", "info")
VERDICTS = ("confirmed", "partly", "unsure", "refuted")
STATUSES = ("verified", "moved", "placed", "missing")


def finding_message(run: str, finding: Mapping[str, Any]) -> pb.Finding:
    """Shows one checked finding."""
    return pb.Finding(
        id=finding.get("id", ""),
        step=step_name(run, finding.get("step", "")),
        severity=pb.Finding.Severity.Value(f"SEVERITY_{finding['severity'].upper()}"),
        title=finding.get("title", ""),
        claim=finding.get("claim", ""),
        evidence=[_evidence(evidence) for evidence in finding.get("evidence", ())],
        category=finding.get("category", ""),
        status=_status(finding),
        found_by=[step_name(run, step) for step in finding.get("found_by", ())],
        fingerprint=finding.get("fingerprint", ""),
        former_fingerprint=finding.get("former_fingerprint", ""),
        remedy=finding.get("remedy", ""),
        rule=finding.get("rule", ""),
        help=finding.get("help", ""),
        calibrated=finding.get("calibrated", False),
        count=finding.get("count", 0),
        total=finding.get("total", 0),
        outside_scope=finding.get("outside_scope", False),
        verdict=_verdict(finding.get("verdict", "")),
        verdict_reason=finding.get("verdict_reason", ""),
        verdict_evidence=[_evidence(evidence) for evidence in finding.get("verdict_evidence", ())],
        corroborations=finding.get("corroborations", 0),
        contradicts=finding.get("contradicts", ()),
        rank=finding.get("rank", 0),
    )


def max_rank(min_severity: pb.Finding.Severity.ValueType) -> int:
    """Returns the largest rank that passes a filter; every rank passes an empty one."""
    if min_severity == pb.Finding.SEVERITY_UNSPECIFIED:
        return len(SEVERITIES) - 1
    return SEVERITIES.index(severity_word(min_severity))


def severity_word(value: pb.Finding.Severity.ValueType) -> str:
    """Returns a severity as the JSON writes it."""
    return pb.Finding.Severity.Name(value).removeprefix("SEVERITY_").lower()


def status_word(value: pb.Evidence.Status.ValueType) -> str:
    """Returns a status as the JSON writes it."""
    return pb.Evidence.Status.Name(value).removeprefix("STATUS_").lower()


def _verdict(word: str) -> pb.Finding.Verdict.ValueType:
    return pb.Finding.Verdict.Value(f"VERDICT_{word.upper()}") if word in VERDICTS else pb.Finding.VERDICT_UNSPECIFIED


def _evidence(evidence: Mapping[str, Any]) -> pb.Evidence:
    return pb.Evidence(
        path=evidence.get("path", ""),
        start_line=evidence.get("start_line", 0),
        end_line=evidence.get("end_line", 0),
        quote=evidence.get("quote", ""),
        status=_status(evidence),
        actual_start_line=evidence.get("actual_start_line", 0),
    )


def _status(judged: Mapping[str, Any]) -> pb.Evidence.Status.ValueType:
    word = judged.get("status", "")
    return pb.Evidence.Status.Value(f"STATUS_{word.upper()}") if word in STATUSES else pb.Evidence.STATUS_UNSPECIFIED
