"""The program: starts the agent, asks it the prompt, and ends as the agent's turn did.

acp MODE LOGIN -- COMMAND…      MODE and LOGIN are the agent's own names, empty where it needs none
"""

import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ..voice import Voice
from .connection import Connection, RpcError
from .session import Session, answer, notice
from .updates import Updates

PROMPT = Path("/run/prompt")
USAGE, FAILED = 2, 1


def main(arguments: Sequence[str], *, prompt: Path = PROMPT, folder: Path | None = None) -> int:
    """Runs one turn of the agent; returns the exit code."""
    if len(arguments) < 4 or arguments[2] != "--":
        sys.stderr.write("usage: acp MODE LOGIN -- COMMAND…\n")
        return USAGE
    mode, login, _, *command = arguments
    voice = Voice(sys.stdout)
    updates = Updates(voice)
    try:
        connection = Connection(command, partial(answer, voice), partial(notice, updates))
    except OSError as error:
        voice.log(f"{command[0]} cannot be started: {error.strerror}")
        return FAILED
    session = Session(connection, voice, updates)
    signal.signal(signal.SIGTERM, lambda *_: _stop(session))
    try:
        session.begin(str(folder or Path.cwd()), mode, login)
        is_good = session.prompt(prompt.read_text("utf-8"))
    except RpcError as error:
        voice.log(str(error))
        is_good = False
    except BrokenPipeError:
        # The reader of our output has left. The stream must not be flushed again when the interpreter ends.
        sys.stdout = None
        is_good = False
    finally:
        connection.close()
    return 0 if is_good and updates.has_answer else FAILED


def _stop(session: Session) -> None:
    """Asks the agent to stop; the sandbox ends both after its grace."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    session.cancel()
