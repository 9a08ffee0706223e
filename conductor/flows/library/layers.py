"""The layers of flows, personas and contracts: the operator's project, the user's own, and the built-in ones.

An earlier layer shadows a later one. The workspace under review is never a layer: its files are read, not obeyed. Only small
regular files are read, so that a pipe in a folder cannot stop a listing.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path, PurePath

import conductor

FLOW_SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILES_PER_FOLDER = 500
MAX_TABLE_FOLDERS = 50
MAX_FILE_BYTES = 1024 * 1024


class Layer(IntEnum):
    """The three layers, numbered as in `Flow.Layer`."""

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
    """A file that was found. `stamp` changes when its content may have changed."""

    layer: Layer
    path: Path
    stamp: tuple[int, int, int]


def folders(project: Path | None, environment: Mapping[str, str]) -> tuple[Folder, ...]:
    """Returns the folders; an earlier one shadows a later one."""
    home, configuration = environment.get("HOME", ""), environment.get("XDG_CONFIG_HOME", "")
    if not configuration.startswith("/"):  # as the XDG specification says
        configuration = f"{home}/.config" if home else ""
    found = []
    if project is not None:
        found.append(_folder(Layer.PROJECT, project / ".conductor"))
    if configuration.startswith("/"):
        found.append(_folder(Layer.USER, Path(configuration) / "conductor"))
    return (*found, built_in())


def _folder(layer: Layer, root: Path) -> Folder:
    return Folder(layer, root / "flows", root / "personas", root / "contracts")


def built_in() -> Folder:
    """Returns `conductor/catalogue` in a wheel, `flows/` beside the package in a checkout. Flow files lie in its root."""
    package = Path(conductor.__file__).parent
    shipped = package / "catalogue"
    root = shipped if shipped.is_dir() else package.parent / "flows"
    return Folder(Layer.BUILT_IN, root, root / "personas", root / "contracts")


def flow_files(places: Iterable[Folder]) -> Iterator[Source]:
    """Yields the files of flows and of their parts; an earlier one shadows a later one of the same name."""
    for place in places:
        for folder in (place.flows, place.flows / "parts"):
            yield from sources(place.layer, folder, FLOW_SUFFIXES)


def name_of(path: PurePath) -> str:
    """Returns the name of the flow in a file that does not say it: the file's, and below `parts` that of a part."""
    return f"flows/{'parts/' if path.parent.name == 'parts' else ''}{path.stem}"


def sources(layer: Layer, folder: Path, suffixes: tuple[str, ...]) -> Iterator[Source]:
    """Yields the regular files of a folder with one of the suffixes, by name, at most `MAX_FILES_PER_FOLDER`."""
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


def table_files(place: Folder) -> Iterator[tuple[str, Source]]:
    """Yields the tables of rules in the folders beside flows, with their names, as `survey/rules.toml`."""
    try:
        names = sorted(name for name in os.listdir(place.flows) if _is_named(name))  # noqa: PTH208
    except OSError:
        return
    folders = [name for name in names if (place.flows / name).is_dir()]
    for name in folders[:MAX_TABLE_FOLDERS]:
        for source in sources(place.layer, place.flows / name, (".toml",)):
            yield f"{name}/{source.path.name}", source


def _is_named(name: str) -> bool:
    """Returns whether a name is visible, and can be sent as text."""
    return not name.startswith(".") and name.isprintable()


def read_file(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """Returns at most `limit` bytes and one more, which shows that a file is larger. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        return file.read(limit + 1)
