"""The proof of a sandbox, made once for each different sandbox of a test session. For tests that prove something else."""

from dataclasses import replace
from pathlib import Path

from agenthost.attempt.launch import Launch
from agenthost.core.sandbox.report import SandboxReport
from agenthost.proof.probe import prove
from agenthost.sandbox.find import Sandbox


class ProofOfTheSession:
    """Proves as the product does, and remembers what held: a host whose sandbox is the same to the letter is not proven again."""

    def __init__(self) -> None:
        self._held: list[tuple[Sandbox, Launch, SandboxReport]] = []

    async def __call__(self, sandbox: Sandbox, data: Path, occupant: Launch) -> SandboxReport:
        same = _without_its_data(sandbox)
        for held, held_occupant, report in self._held:
            if (held, held_occupant) == (same, occupant):
                return report
        report = await prove(sandbox, data, occupant)
        if report.available:
            self._held.append((same, occupant, report))
        return report


def _without_its_data(sandbox: Sandbox) -> Sandbox:
    """All that confines; not where one host writes its log and how it names its groups."""
    cgroups = replace(sandbox.cgroups, prefix="") if sandbox.cgroups else None
    return replace(sandbox, spawn_log=Path(), cgroups=cgroups)


proof_of_the_session = ProofOfTheSession()
