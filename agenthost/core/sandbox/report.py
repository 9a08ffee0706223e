"""Holds what a proof of the sandbox found. Values only; `agenthost.proof` makes them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing that was tried, and whether the sandbox did what it must."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """The result of a proof. If agents cannot be confined, `reason` says why and what to do."""

    available: bool
    reason: str
    mechanism: str
    probes: tuple[Probe, ...] = ()
    pending: bool = False  # not tried yet


UNPROVEN = SandboxReport(
    available=False, reason="the sandbox is being proven; attempts wait for it", mechanism="", pending=True
)
