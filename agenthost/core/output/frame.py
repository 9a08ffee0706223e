"""The numbered frames of a stream, and what is known of an attempt's confinement. Values only."""

from dataclasses import dataclass

from agenthost.core.ending import Ending
from agenthost.core.models.metering import ModelUse
from agenthost.core.output.agent_output import Summary
from agenthost.core.output.report import Report
from agenthost.core.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Attestation:
    """Holds what was proven of an attempt's confinement. The second fingerprint is empty until the end."""

    mechanism: str = ""
    policy_digest: str = ""
    argv: tuple[str, ...] = ()
    boot_id: str = ""
    pid: int = 0
    uid: int = 0
    snapshot_fingerprint_before: str = ""
    snapshot_fingerprint_after: str = ""
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """Says that the agent runs, confined and verified."""

    attestation: Attestation


@dataclass(frozen=True, slots=True)
class Finished:
    """Says how the attempt ended; nothing comes after it."""

    verdict: Verdict
    ending: Ending
    summary: Summary
    attestation: Attestation
    model_use: ModelUse | None = None
    ended_ns: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """Holds one numbered response. Its number and time are the same whenever it is sent again, and to any client."""

    sequence: int
    time_ns: int
    content: Started | Report | Finished
