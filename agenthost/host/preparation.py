"""From an accepted Start to its shim, and from the agent's end back: proof, gateway and snapshot, in their order.

What is raised on the way there refuses the Start; nothing has run then.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

from agenthost.attempt.execution import Execution
from agenthost.attempt.folder import AttemptFolders, StoredStart
from agenthost.attempt.process import AttemptProcess
from agenthost.attempt.request import AcceptedRequest, Request, launch_of
from agenthost.attempt.shims import SHIMS, Shims
from agenthost.core.damage import is_shortage
from agenthost.errors import NoCapacityError, ProgramError, StorageError
from agenthost.host.state import Host
from agenthost.models.link import ModelGateway
from agenthost.snapshots.integrity import SnapshotIntegrity


class Preparation:
    """What an attempt needs around it, while it runs."""

    def __init__(
        self,
        host: Host,
        integrity: SnapshotIntegrity,
        folders: AttemptFolders,
        gateway: ModelGateway,
        shims: Shims = SHIMS,
    ) -> None:
        self._host = host
        self._integrity = integrity
        self._folders = folders
        self._gateway = gateway
        self._shims = shims

    async def begin(self, execution: Execution, request: Request) -> tuple[AttemptProcess, str]:
        """Makes everything durable, then spawns; gives the snapshot's fingerprint as well."""
        order = request.order
        sandbox = await self._host.confinement_of(order.agent)
        if execution.request.agent.endpoint:
            await self._gateway.ready()
        paths, fingerprint = await self._integrity.admit(order.snapshot, execution)
        stored = StoredStart(request.conductor, request.serialized, fingerprint)
        launch = launch_of(execution.request, paths, fingerprint)
        with refusal_told(execution.request.folder):
            await asyncio.to_thread(self._folders.create, order.execution, stored)
            process = await AttemptProcess.spawn(execution.request.folder, launch, sandbox, self._shims)
        self._open_model(execution.request)
        return process, fingerprint

    async def resume(self, accepted: AcceptedRequest, fingerprint: str) -> tuple[AttemptProcess, str]:
        """Attaches to what an earlier daemon began: the shim that lives, or what it left behind."""
        self._open_model(accepted)
        return AttemptProcess.attach(accepted.folder, self._shims), fingerprint

    async def look_back(self, execution: Execution, before: str) -> str:
        """When the agent is gone: the book of its model is closed, and its snapshot looked at."""
        await self._gateway.leave(execution.id)
        return await self._integrity.dismiss(execution.request.order.snapshot, execution, before)

    def _open_model(self, accepted: AcceptedRequest) -> None:
        """Has the agent's one door attended to, if it has any."""
        if accepted.agent.endpoint:
            self._gateway.attend(accepted.order.execution, accepted.folder, accepted.agent.endpoint.name)


@contextlib.contextmanager
def refusal_told(folder: Path) -> Iterator[None]:
    """Refuses a Start whose folder cannot be made: its parent may be gone, a file, or not ours to write to. Nothing ran.

    Where only something runs short here, another host may have it, or this one in a moment.
    """
    try:
        yield
    except (OSError, ProgramError) as error:
        if is_shortage(error):
            raise NoCapacityError(
                f"the attempt cannot begin now: {error}",
                hint="the host lacks open files, processes or memory: raise its limits (LimitNOFILE=, say), or give it fewer slots",
            ) from error
        if isinstance(error, ProgramError):
            raise
        raise StorageError(
            f"the attempt cannot begin: {error.strerror or error}: {error.filename or folder}",
            hint=f"on the host, {folder.parent} must be a folder that the daemon can write to",
        ) from error
