"""The name with which a conductor holds the lease: of its data folder, in one boot of its machine.

The folder is locked by one process at a time. So a conductor that was killed and started again holds what it held, and takes over
at once with a new epoch, instead of waiting until its own lease has run out. A copy of it on another machine has another name.
"""

import hashlib
import secrets
from pathlib import Path

from conductor.errors import StorageError

FILE_NAME = "lease-holder"
_BYTES = 16


def read_holder(folder: Path, boot: str) -> str:
    """Returns the name of the locked folder's conductor; makes one where there is none. `boot` names the machine's boot."""
    path = folder / FILE_NAME
    try:
        kept = path.read_text() if path.exists() else _make(path)
    except OSError as error:
        text = f"the data folder {folder} cannot be used: {error.strerror}"
        raise StorageError(text, hint="make room on its disk, and let this user write there") from error
    # A boot without a name is another one each time.
    return hashlib.sha256(f"{kept} {boot or secrets.token_hex(_BYTES)}".encode()).hexdigest()[: 2 * _BYTES]


def _make(path: Path) -> str:
    name = secrets.token_hex(_BYTES)
    made = path.with_suffix(".new")
    made.write_text(name)
    made.replace(path)
    return name
