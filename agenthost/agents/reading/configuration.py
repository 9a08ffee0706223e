"""Parses settings that a repository has in TOML or INI, within bounds: a text can be made that takes both parsers minutes."""

import configparser
import tomllib
from typing import Any

MAX_DOTS = 1000  # in a line of TOML: a key of n parts takes n times n steps
MAX_LINES = 5000  # of INI: a broken line takes as many steps as there were before it


def parse_toml(text: str) -> dict[str, Any]:
    """Returns the table in a text; raises ValueError where it is none, or one that takes too long."""
    if any(line.count(".") > MAX_DOTS for line in text.split("\n")):
        raise ValueError(f"a line has more than {MAX_DOTS:,} dots")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def parse_ini(text: str) -> configparser.RawConfigParser:
    """Returns the sections in a text; raises ValueError where there are none, or very many lines."""
    if text.count("\n") > MAX_LINES:
        raise ValueError(f"it has more than {MAX_LINES:,} lines")
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError("it is no INI") from error
    return parser
