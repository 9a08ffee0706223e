"""What a stream carries, numbered. Also what is known of an attempt's confinement. Values only."""

from dataclasses import dataclass

from agenthost.core.ending import Ending, Verdict
from agenthost.core.models.metering import ModelUse
from agenthost.core.output.agent_output import Summary
from agenthost.core.output.report import Report


@dataclass(frozen=True, slots=True)
class Attestation:
    """What was proven of an attempt's confinement. The second fingerprint is empty until the end."""

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
    """The agent runs, confined and verified."""

    attestation: Attestation


@dataclass(frozen=True, slots=True)
class Finished:
    """The end; nothing comes after it."""

    verdict: Verdict
    ending: Ending
    summary: Summary
    attestation: Attestation
    model_use: ModelUse | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One numbered response. The number and the time are the same whenever and to whomever it is sent."""

    sequence: int
    time_ns: int
    content: Started | Report | Finished
