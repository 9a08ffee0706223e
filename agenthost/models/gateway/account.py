"""Counts what one attempt uses of its model, and keeps the count in the attempt's folder."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agenthost.core.models.metering import ModelUse
from agenthost.core.models.refusals import ModelTrouble
from agenthost.models.gateway.room import LargeBodies
from agenthost.models.gateway.upstream import Model
from agenthost.models.usage import read_use, write_use


@dataclass(frozen=True, slots=True)
class Attempt:
    """The attempt to serve, as the daemon named it."""

    execution: str
    folder: Path
    model: str
    ends_at_cut: bool = False  # its agent would tell a text again that broke off
    traceparent: str = ""  # of the attempt's span; empty where it has no trace


class Account:
    """The use of one attempt so far, an earlier gateway's included. Change `use` as requests pass.

    An attempt holds one slot of its pool: `turn` lets one of its requests pass at a time.
    """

    def __init__(self, attempt: Attempt, models: Mapping[str, Model], large_bodies: LargeBodies | None = None) -> None:
        self.large_bodies = large_bodies or LargeBodies()
        self._attempt = attempt
        self._models = models  # the gateway updates this mapping
        self.turn = asyncio.Lock()
        self.use = self._written = read_use(attempt.folder) or ModelUse()

    @property
    def attempt(self) -> Attempt:
        """Returns the attempt that it is about."""
        return self._attempt

    def model(self) -> Model | None:
        """Returns the endpoint as it is configured now."""
        return self._models.get(self._attempt.model)

    def end_at_cut(self) -> None:
        """Arms the end where the newest answer broke off and the agent would tell its text again."""
        if self._attempt.ends_at_cut and self.use.thought.trouble is ModelTrouble.CUT:
            self.use = self.use.with_end_armed()

    def disarm(self) -> None:
        """Takes the end back: a user's next prompt begins a turn of its own."""
        self.use = self.use.with_end_disarmed()
        self.write()

    def write(self) -> None:
        """Writes the use if it changed: an agent that asked nothing leaves no file."""
        if self.use == self._written:
            return
        self._written = self.use
        with contextlib.suppress(OSError):  # a folder that is gone needs none
            write_use(self._attempt.folder, self.use)
