"""The program `codex -- COMMAND…`; COMMAND is `codex app-server …`, with its provider among the settings."""

from functools import partial

from ..bridge.program import drive
from .session import Session

main = partial(drive, "codex", Session)
