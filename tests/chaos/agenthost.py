"""`python -m tests.chaos.agenthost serve …`: the real host, with a fuse at its seams and, for the twins, a mistake.

It also keeps a list of whom it admitted, for the judgement.
"""

import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from agenthost.api.execution_stream import ExecutionStream
from agenthost.attempt import execution
from agenthost.attempt.cuts import Cuts
from agenthost.attempt.folder import AttemptFolders
from agenthost.attempt.process import AttemptProcess
from agenthost.cli import main
from agenthost.core.admission.admission import TombstoneReason
from agenthost.host import supervisor
from agenthost.host.fences import Fences
from agenthost.host.tombstones import Tombstones
from tests.chaos.crash_points import ADMISSIONS, Fuse, note, wrap
from tests.chaos.kin import die_with_parent
from tests.chaos.twins import break_host


def lay_fuse(fuse: Fuse) -> None:
    """Puts the fuse at every seam of the host."""
    wrap(ExecutionStream, "serve", lambda method: _counted(method, fuse))
    wrap(AttemptFolders, "create", lambda method: _after(method, fuse, "H-accepted"))
    wrap(AttemptProcess, "spawn", lambda method: _spawning(method, fuse))
    wrap(Cuts, "append", lambda method: _after(method, fuse, "H-cut"))
    wrap(execution.Execution, "finish", lambda method: _after(method, fuse, "H-ended"))
    wrap(Tombstones, "add", lambda method: _burying(method, fuse))
    wrap(supervisor.Supervisor, "adopt", lambda method: _adopting(method, fuse))


def _counted(method: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    async def serve(self: ExecutionStream, requests: AsyncIterator[Any], context: object, after: int) -> None:
        with fuse.stream():
            await method(self, requests, context, after)

    return serve


def _after(method: Callable[..., Any], fuse: Fuse, point: str) -> Callable[..., Any]:
    def act(*arguments: object, **named: object) -> object:
        done = method(*arguments, **named)
        fuse.meet(point)
        return done

    return act


def _spawning(method: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    async def spawn(*arguments: object, **named: object) -> object:
        spawned = await method(*arguments, **named)
        fuse.meet("H-spawned")
        return spawned

    return spawn


def _burying(method: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    async def add(self: Tombstones, stone: Any) -> None:
        if stone.why is TombstoneReason.RELEASED:
            fuse.meet("H-acknowledged")
        await method(self, stone)
        if stone.why is TombstoneReason.RELEASED:
            fuse.meet("H-buried")

    return add


def _adopting(method: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    def adopt(self: Any, request: Any, fingerprint: str) -> None:
        method(self, request, fingerprint)
        # No stream can be open yet. At stake is all that was found: attempts that go on, and ends that no conductor has heard.
        fuse.meet("H-adopting", len(list(self._folders.path_of(request.order.execution).parent.iterdir())))

    return adopt


def list_admissions(path: Path) -> None:
    """Has every change of epoch written down that this host admits."""
    last: list[tuple[str, int]] = []

    def listing(method: Callable[..., Any]) -> Callable[..., Any]:
        async def admit(self: Fences, conductor: str, epoch: int) -> None:
            await method(self, conductor, epoch)
            if last != [(conductor, epoch)]:
                last[:] = [(conductor, epoch)]
                note(path, {"conductor": conductor, "epoch": epoch})

        return admit

    wrap(Fences, "admit", listing)


if __name__ == "__main__":
    die_with_parent()
    break_host()
    list_admissions(Path(os.environ[ADMISSIONS]))
    lay_fuse(Fuse.from_environment())
    sys.exit(main())
