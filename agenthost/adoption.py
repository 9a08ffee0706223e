"""What an earlier daemon of this directory left: attempts whose shims live, have ended, or are gone. Each is taken on.

Whoever comes back for them finds all three: the first goes on, the second tells its end, the third tells SHIM_LOST. What was
released but not deleted, and what was never begun, is deleted. A shim that lives keeps its folder, whatever is in it.
"""

import asyncio

import structlog
from google.protobuf.message import DecodeError

from agenthost.attempt_folder import Asked, AttemptFolders
from agenthost.attempt_process import is_alive
from agenthost.core.order import Limits, check_execution_id, defaults_within
from agenthost.messages import digest_of, read_order
from agenthost.supervisor import Request, Supervisor
from agenthost.v1 import execution_service_pb2 as pb

_log = structlog.get_logger()


async def adopt_leftovers(supervisor: Supervisor, folders: AttemptFolders, limits: Limits) -> None:
    """Takes on every attempt that is found on the disk. Before serving: nobody may ask for one that was not seen yet."""
    for folder, asked in await asyncio.to_thread(folders.leftovers):
        request = _request(asked, limits) if asked else None
        begun = (folder / "spool").exists()
        if asked and request and begun and not supervisor.is_spent(request.order.execution):
            supervisor.adopt(request, asked.snapshot_fingerprint)
        elif is_alive(folder):
            _log.warning("folder_kept", folder=str(folder), why="a shim lives in it, but nobody can ask for it")
        else:
            await asyncio.to_thread(folders.remove, folder)
            _log.info("folder_removed", folder=str(folder))


def _request(asked: Asked, limits: Limits) -> Request | None:
    try:
        start = pb.Start.FromString(asked.start)
    except DecodeError:
        return None
    if tuple(check_execution_id(start.execution, "")):
        return None
    return Request(asked.conductor, read_order(start, defaults_within(limits)), digest_of(start), asked.start)
