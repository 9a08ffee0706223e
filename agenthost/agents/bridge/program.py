"""The program of every bridge: starts the agent, asks it each prompt, and ends as the agent's last turn did."""

import contextlib
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from ..prompts import PROMPT, prompts
from ..voice import Voice
from .child import Child, ChildError
from .telling import Telling

USAGE, FAILED = 2, 1


class Session(Protocol):
    """A conversation with an agent, in the agent's own protocol."""

    def begin(self, folder: str) -> None:
        """Opens the session so that the agent is read-only; raises ChildError."""

    def prompt(self, text: str) -> bool:
        """Asks, and tells what the agent does and says until its turn ends; returns whether it ended in order."""

    def cancel(self) -> None:
        """Asks the agent to stop its turn."""


Opening = Callable[[Child, Telling], Session]


def drive(name: str, opening: Opening, arguments: Sequence[str], *, prompt: Path = PROMPT) -> int:
    """Runs the bridge of an agent that needs no names of its own: `NAME -- COMMAND…`; returns the exit code."""
    if len(arguments) < 2 or arguments[0] != "--":
        sys.stderr.write(f"usage: {name} -- COMMAND…\n")
        return USAGE
    return run(arguments[1:], opening, prompt=prompt)


def run(command: Sequence[str], opening: Opening, *, prompt: Path = PROMPT) -> int:
    """Runs the agent's turns in one session; returns the exit code."""
    voice = Voice(sys.stdout)
    try:
        child = Child(command, voice)
    except OSError as error:
        voice.log(f"{command[0]} cannot be started: {error.strerror}")
        return FAILED
    telling = Telling(voice)
    session = opening(child, telling)
    signal.signal(signal.SIGTERM, lambda *_: _stop(session))
    try:
        session.begin(str(Path.cwd()))
        is_good = False
        for text in prompts(prompt):
            telling.begin_turn()
            is_good = session.prompt(text) and telling.has_answer
            voice.turn(failed=not is_good)
    except ChildError as error:
        voice.log(str(error))
        is_good = False
    except BrokenPipeError:
        # The reader of our output has left. The stream must not be flushed again when the interpreter ends.
        sys.stdout = None
        is_good = False
    finally:
        child.close()
    return 0 if is_good else FAILED


def _stop(session: Session) -> None:
    """Asks the agent to stop; the sandbox ends both after its grace."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with contextlib.suppress(ChildError, RuntimeError):  # it has left, or the signal came within a write to it
        session.cancel()
