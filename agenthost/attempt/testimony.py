"""What an attempt's shim wrote down, in the words of the core: how the agent was confined, how and when it ended."""

import time
from pathlib import Path

from agenthost.attempt.process import AttemptProcess, Confinement
from agenthost.core.ending import Cause, Ending
from agenthost.core.output.frame import Attestation


def moment_of(file: Path) -> int:
    """When a file of the shim was written; so a frame has the same time after a restart of this daemon."""
    try:
        return file.stat().st_mtime_ns
    except OSError:  # it was never written, or somebody removed it
        return time.time_ns()


def attestation_of(confinement: Confinement, fingerprint: str) -> Attestation:
    """How the agent was confined, over a snapshot that had this fingerprint before."""
    return Attestation(
        mechanism=confinement.mechanism,
        policy_digest=confinement.policy_digest,
        argv=confinement.argv,
        boot_id=confinement.boot_id,
        pid=confinement.pid,
        uid=confinement.uid,
        snapshot_fingerprint_before=fingerprint,
        checks=confinement.checks,
    )


def ending_of(process: AttemptProcess, violation: str) -> Ending:
    """How a process ended, with what became of the snapshot under it, if anything."""
    status = process.status()
    if status is None:
        cause = Cause.FILES_DAMAGED if process.lost_because else Cause.SHIM_LOST
        return Ending(cause, detail=violation or process.lost_because, snapshot_changed=bool(violation))
    detail = violation or status.message
    return Ending(Cause(status.cause), status.exit_code, status.signal, detail, status.elapsed_seconds, bool(violation))
