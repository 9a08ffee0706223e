"""Completes commands that a person is told to type next: each goes to the conductor that this command was told to ask.

`conductor watch RUN` becomes `conductor --address b:7410 watch RUN` where --address was given on the command line. What comes from
the environment needs no repeating. A token is a secret: the line says that one is needed.
"""

import re
import shlex
from functools import cache

import click
from click.core import ParameterSource

from servicekit.printing.page import say

_FILES = ("bundle", "tls_ca", "tls_cert", "tls_key")


def say_next(text: str, indent: int = 4, *, err: bool = False) -> None:
    """Prints text for people that holds a command to type next."""
    say(completed(text), indent, err=err)


def completed(text: str) -> str:
    """Returns text in which each command of ours that asks a conductor names the one that is asked now."""
    if "conductor " not in text or not (options := _given_options()):
        return text
    return "\n".join(_complete(line, options) for line in text.split("\n"))


def _complete(line: str, options: str) -> str:
    if "--address" in line or "--ephemeral" in line:
        return line
    return _pattern().sub(lambda found: f"{found[0]}{options} ", line)


@cache
def _pattern() -> re.Pattern[str]:
    """Matches `conductor` before a command, where text says that it is one: at the beginning, or after a mark and spaces."""
    from conductor.cli.main import COMMANDS, WITHOUT_CONDUCTOR

    words = "|".join(sorted(COMMANDS.keys() - WITHOUT_CONDUCTOR - {"migrate"}))
    return re.compile(rf"(?:^ *|[:;|,)] +|  )conductor (?=(?:{words})\b)")


def _given_options() -> str:
    """Returns the shared options of the command line, with a space between, without a secret."""
    here = click.get_current_context(silent=True)
    if here is None or here.obj is None:
        return ""
    values = {"address": here.obj.address, "token": "TOKEN", **{name: getattr(here.obj.tls, name) for name in _FILES}}
    given = [(name, value) for name, value in values.items() if value and _was_typed(here, name)]
    return " ".join(f"--{name.replace('_', '-')} {shlex.quote(value)}" for name, value in given)


def _was_typed(here: click.Context, name: str) -> bool:
    places = (here, here.find_root())
    return any(place.get_parameter_source(name) is ParameterSource.COMMANDLINE for place in places)
