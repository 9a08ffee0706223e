"""What an earlier daemon of this directory left: attempts whose shims live, have ended, or are gone. Each is taken on.

Whoever comes back for them finds all three: the first goes on, the second tells its end, the third tells SHIM_LOST. What was
released but not deleted is deleted, and so is what was never begun: where no shim lives, none wrote an end, and none let an
agent go, nothing has run, and the same Start may come again. A shim that lives keeps its folder, whatever is in it.
"""

import asyncio
from pathlib import Path

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
        if asked and request and _was_begun(folder) and not supervisor.is_spent(request.order.execution):
            supervisor.adopt(request, asked.snapshot_fingerprint)
        elif is_alive(folder):
            _log.warning("folder_kept", folder=str(folder), why="a shim lives in it, but nobody can ask for it")
        else:
            await asyncio.to_thread(folders.remove, folder)
            _log.info("folder_removed", folder=str(folder))


def _was_begun(folder: Path) -> bool:
    """Whether an agent may have run. A shim that is gone wrote down beforehand that it would let its agent go."""
    return is_alive(folder) or any((folder / name).exists() for name in ("released.json", "status.json"))


def _request(asked: Asked, limits: Limits) -> Request | None:
    try:
        start = pb.Start.FromString(asked.start)
    except DecodeError:
        return None
    if tuple(check_execution_id(start.execution, "")):
        return None
    return Request(asked.conductor, read_order(start, defaults_within(limits)), digest_of(start), asked.start)
