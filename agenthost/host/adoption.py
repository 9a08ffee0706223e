"""Takes over the attempts that an earlier daemon of this data folder left.

A conductor that resumes one finds it: if its shim lives, it goes on; if it has ended, its end is sent; if its shim is gone without
an end, the end is SHIM_LOST. A folder is deleted if its attempt was released, or never begun: no shim lives, none wrote a release
or an end, and the machine was not booted since, because a power cut may take both. Then nothing has run, and the same Start may
come again. Where the stored Start is damaged, no conductor can resume the attempt: its shim is told to end, and its folder stays
until the next start.
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

# Reads a stored Start; returns None where it is damaged. The API provides it, because messages stop there.
ReadStart = Callable[[StoredStart], Request | None]

_log = structlog.get_logger()


async def adopt_leftovers(
    supervisor: Supervisor, folders: AttemptFolders, read_start: ReadStart, shims: Shims = SHIMS
) -> None:
    """Takes over every attempt on the disk. Call it before serving: a conductor must not ask for one that is not known yet."""
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
    begun = shims.is_alive(folder) or was_begun(folder) or (stored is not None and folders.outlived_boot(stored))
    if stored and request and is_its_own and begun and not supervisor.is_blocked(request.order.execution):
        supervisor.adopt(request, stored.snapshot_fingerprint)
    elif shims.is_alive(folder):
        _log.error("shim_ended", folder=str(folder), why="its stored Start is damaged, so no conductor can resume it")
        await asyncio.to_thread(shims.end_stray, folder)
    else:
        await asyncio.to_thread(folders.remove, folder)
        _log.info("folder_removed", folder=str(folder), was_begun=begun)
