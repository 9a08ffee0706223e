"""Runs one command of a program: arguments are text, errors sentences, and the exit code is told whatever becomes of the output."""

import gc
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from servicekit.printing.output_lost import OutputLostError, code_of, output_lost
from servicekit.printing.page import say
from servicekit.printing.streams import ready_streams, text_arguments
from servicekit.runtime.process import open_what_is_closed

USAGE, INTERRUPTED = 2, 130
# Of new objects, before Python looks for garbage in rings: with its own 700, a tenth of every start goes there.
YOUNG_OBJECTS = 10_000

# Returns the text and the exit code of an error that the program raises itself; None for any other.
Told = Callable[[Exception], tuple[str, int] | None]


class CommandGroup(click.Group):
    """A group whose commands may lose the reader of their output: click would make exit code 1 of it, whatever its mode."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:  # noqa: D102
        with output_lost():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: D102
        with output_lost():
            return super().invoke(ctx)


def run_command(group: CommandGroup, program: str, arguments: Sequence[str] | None, told: Told) -> int:
    """Runs one command; returns its exit code."""
    gc.set_threshold(YOUNG_OBJECTS)
    # What gRPC's core has to say of connections and addresses is said better by our own errors.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    open_what_is_closed()
    ready_streams()
    try:
        given = text_arguments(sys.argv[1:] if arguments is None else arguments)
    except ValueError as error:
        return _ended(program, f"{program}: {error}", USAGE)
    try:
        code = group.main(args=given, prog_name=program, standalone_mode=False)
    except OutputLostError as lost:
        return code_of(lost, program)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.ClickException as error:
        return _ended(program, _shown(error), USAGE)
    except Exception as error:
        ending = told(error)
        if ending is None:
            raise
        return _ended(program, *ending)
    return code if isinstance(code, int) else 0


def _ended(program: str, text: str, code: int) -> int:
    """Says on stderr why a command ended, as far as stderr takes it; returns the code, which says it too."""
    try:
        say(text, err=True)
    except OutputLostError as lost:
        lost.verdict = code
        return code_of(lost, program)
    return code


def _shown(error: click.ClickException) -> str:
    """Returns click's text, usage included; it quotes arguments as they are."""
    shown = io.StringIO()
    error.show(shown)
    return shown.getvalue().rstrip("\n")
