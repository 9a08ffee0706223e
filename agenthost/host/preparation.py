"""From an accepted Start to its shim, and from the agent's end back: proof, gateway and snapshot, in their order.

What is raised on the way there refuses the Start; nothing has run then.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

from agenthost.attempt.execution import Execution
from agenthost.attempt.folder import Asked, AttemptFolders
from agenthost.attempt.process import AttemptProcess
from agenthost.attempt.request import Request, Ticket, launch_of
from agenthost.core.damage import is_shortage
from agenthost.errors import NoCapacityError, ProgramError, StorageError
from agenthost.host.state import Host
from agenthost.models.link import ModelGateway
from agenthost.snapshots.integrity import Custody


class Preparation:
    """What an attempt needs around it, while it runs."""

    def __init__(self, host: Host, custody: Custody, folders: AttemptFolders, gateway: ModelGateway) -> None:
        self._host = host
        self._custody = custody
        self._folders = folders
        self._gateway = gateway

    async def begin(self, execution: Execution, request: Request) -> tuple[AttemptProcess, str]:
        """Makes everything durable, then spawns; gives the snapshot's fingerprint as well."""
        order = request.order
        sandbox = await self._host.confinement_of(order.agent)
        if execution.ticket.agent.endpoint:
            await self._gateway.ready()
        paths, fingerprint = await self._custody.admit(order.snapshot, execution)
        asked = Asked(request.conductor, request.serialized, fingerprint)
        launch = launch_of(execution.ticket, paths, fingerprint)
        with refusal_told(execution.ticket.folder):
            await asyncio.to_thread(self._folders.create, order.execution, asked)
            process = await AttemptProcess.spawn(execution.ticket.folder, launch, sandbox)
        self._open_model(execution.ticket)
        return process, fingerprint

    async def resume(self, ticket: Ticket, fingerprint: str) -> tuple[AttemptProcess, str]:
        """Attaches to what an earlier daemon began: the shim that lives, or what it left behind."""
        self._open_model(ticket)
        return AttemptProcess.attach(ticket.folder), fingerprint

    async def look_back(self, execution: Execution, before: str) -> str:
        """When the agent is gone: the book of its model is closed, and its snapshot looked at."""
        await self._gateway.leave(execution.id)
        return await self._custody.dismiss(execution.ticket.order.snapshot, execution, before)

    def _open_model(self, ticket: Ticket) -> None:
        """Has the agent's one door attended to, if it has any."""
        if ticket.agent.endpoint:
            self._gateway.attend(ticket.order.execution, ticket.folder, ticket.agent.endpoint.name)


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
