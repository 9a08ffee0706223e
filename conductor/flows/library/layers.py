"""Where flows, personas and contracts lie: the operator's project, the user's own, and what is shipped.

The earlier shadows the later. The workspace under review is never among them: what it holds is to be read, not obeyed.
Files are small, regular and read whole; anything else is passed by, so that a pipe in a folder cannot stop a listing.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import conductor

MAX_FILES_PER_FOLDER = 500
MAX_FILE_BYTES = 1024 * 1024


class Layer(IntEnum):
    """Which of the three, numbered as in `Flow.Layer`."""

    PROJECT = 1
    USER = 2
    BUILT_IN = 3


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that holds `flows/`, `personas/` and `contracts/`."""

    layer: Layer
    flows: Path
    personas: Path
    contracts: Path


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was when it was looked at; `stamp` changes when its content may have."""

    layer: Layer
    path: Path
    stamp: tuple[int, int, int]


def folders(project: Path | None, environment: Mapping[str, str]) -> tuple[Folder, ...]:
    """The folders, in the order in which they shadow one another."""
    home = environment.get("HOME", "")
    configuration = environment.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    found = []
    if project is not None:
        found.append(_folder(Layer.PROJECT, project / ".conductor"))
    if configuration.startswith("/"):
        found.append(_folder(Layer.USER, Path(configuration) / "conductor"))
    return (*found, _built_in())


def _folder(layer: Layer, root: Path) -> Folder:
    return Folder(layer, root / "flows", root / "personas", root / "contracts")


def _built_in() -> Folder:
    """`conductor/catalogue` in a wheel, `flows/` beside the package in a checkout. Flow files lie in its root."""
    package = Path(conductor.__file__).parent
    shipped = package / "catalogue"
    root = shipped if shipped.is_dir() else package.parent / "flows"
    return Folder(Layer.BUILT_IN, root, root / "personas", root / "contracts")


def sources(layer: Layer, folder: Path, suffixes: tuple[str, ...]) -> Iterator[Source]:
    """The regular files of a folder with one of the suffixes, by name, at most `MAX_FILES_PER_FOLDER` of them."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(suffixes) and _is_named(name))  # noqa: PTH208
    except OSError:
        return
    for name in names[:MAX_FILES_PER_FOLDER]:
        path = folder / name
        try:
            status = path.stat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            yield Source(layer, path, (status.st_mtime_ns, status.st_size, status.st_ino))


def _is_named(name: str) -> bool:
    """Returns whether a name is visible, and text that can be sent."""
    return not name.startswith(".") and name.isprintable()


def read_file(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """At most `limit` bytes and one more, so that a larger file is seen to be one. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        return file.read(limit + 1)
