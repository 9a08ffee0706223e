"""What an earlier daemon of this directory left: attempts whose shims live, have ended, or are gone. Each is taken on.

Whoever comes back for them finds all three: the first goes on, the second tells its end, the third tells SHIM_LOST. What was
released but not deleted is deleted, and so is what was never begun: where no shim lives, none wrote an end, and none let an
agent go, nothing has run, and the same Start may come again. A shim for whose attempt nobody can ask any more, because what was
asked of it is damaged, is told to end, and keeps its folder until the next start.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from agenthost.attempt.folder import AttemptFolders, StoredStart
from agenthost.attempt.records import was_begun
from agenthost.attempt.request import Request
from agenthost.attempt.shims import SHIMS, Shims
from agenthost.host.supervisor import Supervisor

# Reads a stored Start again; None where it is damaged. The API gives it: messages stop there.
ReadStart = Callable[[StoredStart], Request | None]

_log = structlog.get_logger()


async def adopt_leftovers(
    supervisor: Supervisor, folders: AttemptFolders, read_start: ReadStart, shims: Shims = SHIMS
) -> None:
    """Takes on every attempt that is found on the disk. Before serving: nobody may ask for one that was not seen yet."""
    for folder, stored in await asyncio.to_thread(folders.leftovers):
        try:
            await _take_on(supervisor, folders, read_start(stored) if stored else None, folder, stored, shims=shims)
        except OSError as error:
            _log.exception("folder_kept", folder=str(folder), why=error.strerror)


async def _take_on(
    supervisor: Supervisor,
    folders: AttemptFolders,
    request: Request | None,
    folder: Path,
    stored: StoredStart | None,
    *,
    shims: Shims,
) -> None:
    is_its_own = request is not None and folders.path_of(request.order.execution) == folder
    begun = shims.is_alive(folder) or was_begun(folder)
    if stored and request and is_its_own and begun and not supervisor.is_blocked(request.order.execution):
        supervisor.adopt(request, stored.snapshot_fingerprint)
    elif shims.is_alive(folder):
        _log.error("shim_ended", folder=str(folder), why="its stored Start is damaged, so no conductor can resume it")
        await asyncio.to_thread(shims.end_stray, folder)
    else:
        await asyncio.to_thread(folders.remove, folder)
        _log.info("folder_removed", folder=str(folder), was_begun=begun)
