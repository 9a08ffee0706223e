"""Prepares proof, gateway and snapshot between an accepted Start and its shim, and releases them after the agent's end.

An error on the way to the shim refuses the Start; nothing has run then.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from agenthost.attempt.execution import Execution
from agenthost.attempt.folder import AttemptFolders, StoredStart
from agenthost.attempt.process import AttemptProcess
from agenthost.attempt.request import AcceptedRequest, Request, launch_of
from agenthost.attempt.shims import SHIMS, Shims
from agenthost.core.damage import is_shortage
from agenthost.errors import AgentUnavailableError, InvalidRequestError, NoCapacityError, ProgramError, StorageError
from agenthost.host.state import Host
from agenthost.models.link import ModelGateway
from agenthost.snapshots.integrity import SnapshotIntegrity


class Preparation:
    """Begins and resumes attempts, and checks their snapshots afterwards."""

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
        """Makes everything durable, then spawns the shim; returns it with the snapshot's fingerprint."""
        order = request.order
        sandbox = await self._host.confinement_of(order.agent)
        accepted = execution.request
        self._host.refuse_moved(accepted.agent)
        if endpoint := accepted.agent.endpoint:
            await self._gateway.ready()
            agent = replace(accepted.agent, facts=await self._host.facts_of(endpoint.name))
            if lack := agent.lack(order.parameters):
                raise AgentUnavailableError(f"agent '{agent.name}' is unavailable: {lack}")
            accepted = replace(accepted, agent=agent)
            if unfit := agent.violations(order.parameters):  # what the endpoint told since
                raise InvalidRequestError(*unfit)
        paths, fingerprint = await self._integrity.admit(order.snapshot, execution)
        dialect = accepted.agent.usable().dialect
        stored = StoredStart(request.conductor, request.serialized, fingerprint, dialect=dialect)
        launch = launch_of(accepted, paths, fingerprint)
        with refusing_start(execution.request.folder):
            await asyncio.to_thread(self._folders.create, order.execution, stored)
            process = await AttemptProcess.spawn(execution.request.folder, launch, sandbox, self._shims)
        self._open_model(execution.request)
        return process, fingerprint

    async def resume(self, accepted: AcceptedRequest, fingerprint: str) -> tuple[AttemptProcess, str]:
        """Attaches to an attempt that an earlier daemon began, to its living shim or to its files."""
        self._open_model(accepted)
        return AttemptProcess.attach(accepted.folder, self._shims), fingerprint

    async def look_back(self, execution: Execution, before: str) -> str:
        """Ends the gateway's service to an attempt that has ended, and checks its snapshot again."""
        await self._gateway.leave(execution.id)
        return await self._integrity.dismiss(execution.request.order.snapshot, execution, before)

    async def begin_turn(self, execution: Execution) -> None:
        """Lets the agent ask its model again, where the gateway had ended its last turn."""
        await self._gateway.begin_turn(execution.id)

    def _open_model(self, accepted: AcceptedRequest) -> None:
        """Asks the gateway to serve the agent's model, if it has one: of an attempt that runs, even if no other may begin."""
        if (spec := accepted.agent.spec) and spec.model:
            execution, is_acp = accepted.order.execution, spec.bridge is not None and spec.bridge.protocol == "acp"
            traceparent = accepted.order.traceparent
            self._gateway.attend(execution, accepted.folder, spec.model, ends_at_cut=is_acp, traceparent=traceparent)


@contextlib.contextmanager
def refusing_start(folder: Path) -> Iterator[None]:
    """Turns an error of making the attempt's folder into a refusal of its Start. Nothing ran.

    Where the host only runs short of something, another host may have it, or this one in a moment.
    """
    try:
        yield
    except (OSError, ProgramError) as error:
        if is_shortage(error):
            raise NoCapacityError(
                f"cannot start the attempt now: {error}",
                hint="the host lacks open files, processes or memory: raise its limits (as LimitNOFILE=) or lower its slots",
            ) from error
        if isinstance(error, ProgramError):
            raise
        raise StorageError(
            f"cannot make the attempt's folder: {error.strerror or error}: {error.filename or folder}",
            hint=f"on the host, {folder.parent} must be a folder that the daemon can write to",
        ) from error
