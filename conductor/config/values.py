"""Reads single values of a configuration. What is wrong goes to a list of problems, and a default stands in for it."""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from servicekit.addresses import Address, AddressError
from servicekit.errors import shown

_QUANTITY = re.compile(r"(?P<number>[0-9]{1,15}) ?(?P<unit>[A-Za-z]*)")
AGES = {"h": 3600, "d": 86_400, "w": 7 * 86_400}
SIZES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}

is_folder = os.path.isdir  # Path.is_dir raises for a name that is too long


def read_document(path: Path | None, problems: list[str]) -> Mapping[str, Any]:
    """Returns a TOML file as a table; an empty one without a file."""
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"cannot read {path}: {error}")
        return {}


def read_text(document: Mapping[str, Any], key: str, default: str, problems: list[str]) -> str:
    """Returns the text of a key."""
    given = document.get(key, default)
    if isinstance(given, str) and "\0" not in given and (given or not default):
        return given
    problems.append(f"'{key}' must be a text, not {shown(given)}")
    return default


def read_switch(document: Mapping[str, Any], key: str, problems: list[str]) -> bool:
    """Returns the switch of a key; False where it is absent."""
    given = document.get(key, False)
    if isinstance(given, bool):
        return given
    problems.append(f"'{key}' must be true or false, not {shown(given)}")
    return False


def read_table(document: Mapping[str, Any], key: str, problems: list[str]) -> Mapping[str, Any]:
    """Returns the table of a key; an empty one where it is absent."""
    table = document.get(key, {})
    if isinstance(table, Mapping):
        return table
    problems.append(f"'{key}' must be a table, not {shown(table)}")
    return {}


def read_paths(document: Mapping[str, Any], key: str, problems: list[str]) -> Sequence[Path]:
    """Returns the list of paths of a key."""
    given = document.get(key, [])
    if isinstance(given, list) and all(isinstance(each, str) and each and "\0" not in each for each in given):
        return [Path(each) for each in given]
    problems.append(f"'{key}' must be a list of paths, not {shown(given)}")
    return []


def read_address(name: str, text: str, problems: list[str]) -> Address:
    """Returns an address to serve, on any interface: the caller asks for TLS."""
    try:
        return Address.parse(text, is_anywhere=True)
    except AddressError as error:
        problems.append(f"{name}: {error}")
        return Address("")


def read_folder(name: str, given: Path | str, problems: list[str]) -> Path:
    """Returns a path as a whole one, of a home folder too."""
    try:
        return Path(given).expanduser().absolute()
    except RuntimeError:
        problems.append(f"'{name}' is {shown(str(given))}, and there is no such home folder: give the whole path")
        return Path(given).absolute()


def choose(name: str, given: object, known: Sequence[str], problems: list[str]) -> str:
    """Returns a value that must be one of a few; else the first of them."""
    if given in known:
        return str(given)
    problems.append(f"{name} must be one of {', '.join(known)}, not {shown(given)}")
    return known[0]


def quantity_of(name: str, table: Mapping[str, Any], units: Mapping[str, int], problems: list[str]) -> int:
    """Returns the quantity of the setting `TABLE.NAME` in seconds or bytes; 0 where it is absent."""
    given = table.get(name.partition(".")[2])
    if given is None:
        return 0
    try:
        return read_quantity(given if isinstance(given, str) else shown(given), units)
    except ValueError as error:
        problems.append(f"{name} {error}")
        return 0


def read_quantity(given: str, units: Mapping[str, int]) -> int:
    """Returns `90d` in seconds or `20GiB` in bytes. ValueError says what is expected."""
    read = _QUANTITY.fullmatch(given)
    if read is None or read["unit"] not in units:
        raise ValueError(f"must be a whole number with a unit of {', '.join(units)}, not '{given}'")
    if not int(read["number"]):
        raise ValueError(f"must be at least 1, not '{given}'")
    return int(read["number"]) * units[read["unit"]]
