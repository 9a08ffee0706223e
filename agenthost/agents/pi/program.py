"""The program `pi -- COMMAND…`; COMMAND is `pi --mode rpc …`."""

from functools import partial

from ..bridge.program import drive
from .session import Session

main = partial(drive, "pi", Session)
