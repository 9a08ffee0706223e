"""Knows the data folders of conductors and agent hosts, which belong to no snapshot even where they lie in a workspace.

They hold what other runs were asked and answered, change all the time, and grow with each snapshot. A folder is one where the
files lie that such a service makes at its first start. What is tracked is not asked about: somebody wants it to be there.
It opens no file.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from conductor.errors import InvalidRequestError, Violation
from conductor.snapshots.entries import LeftOut, Listed

LEFT_OUT = "data folders of a conductor or an agent host, left out"

# Of a conductor (see `conductor.store.folder`), and of a host (see `agenthost.app`).
_MARKS = (
    frozenset({b"conductor.db", b"conductor.lock"}),
    frozenset({b"fences.jsonl", b"tombstones.jsonl", b"instance"}),
)
_TELLING = frozenset[bytes]().union(*_MARKS)


def is_service_folder(parts: Sequence[bytes], names: Collection[bytes]) -> bool:
    """Tells whether a folder with these entries is one. InvalidRequestError where that is the workspace itself."""
    if not any(marks <= frozenset(names) for marks in _MARKS):
        return False
    if not parts:
        text = "is the data folder of a conductor or an agent host, which no agent is shown"
        raise InvalidRequestError(
            Violation("workspace.path", text), hint="name a folder with code; give the service another one with --data"
        )
    return True


def without_services(workspace: Path, untracked: Sequence[Listed], left_out: LeftOut) -> Iterator[Listed]:
    """Those of the paths that lie in no such folder."""
    # What git ignores is not listed, so that one telling name is a reason to look for the others.
    telling = {folder for folder, _, name in (one.path.rpartition(b"/") for one in untracked) if name in _TELLING}
    services = sorted(folder for folder in telling if _is_service(workspace, folder))
    for folder in services:
        left_out.add(LEFT_OUT, folder)
    below = tuple(folder + b"/" for folder in services)
    return (one for one in untracked if not one.path.startswith(below))


def _is_service(workspace: Path, folder: bytes) -> bool:
    there = [name for name in _TELLING if os.path.lexists(os.path.join(os.fsencode(workspace), folder, name))]  # noqa: PTH118 - of bytes
    return is_service_folder([folder] if folder else [], there)
