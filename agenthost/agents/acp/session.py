"""One session with an agent of the protocol: initialize, log in, new session, its read-only mode, and turns.

Every permission is decided here: reading and searching are allowed, everything else is refused and told as a denial. The files
and the terminal of the client are not offered.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from ..bridge.child import Child, ChildError
from ..bridge.rpc import Connection
from ..bridge.telling import Telling, table, tables
from ..voice import Voice
from .updates import Updates, tokens_in

PROTOCOL_VERSION = 1
READING = frozenset({"read", "search", "think"})
ENDS = frozenset({"end_turn", "max_tokens", "max_turn_requests"})


class Session:
    """An agent at work."""

    def __init__(self, child: Child, telling: Telling, mode: str = "", login: str = "") -> None:
        self._voice, self._updates = telling.voice, Updates(telling)
        self._mode, self._login = mode, login
        self._connection = Connection(child, partial(answer, self._voice), self._take)
        self._id = ""
        self._tokens = [0, 0]
        self._turns = 0

    def begin(self, folder: str) -> None:
        """Opens a session in the agent's read-only mode; raises ChildError."""
        told = self._connection.call(
            "initialize",
            protocolVersion=PROTOCOL_VERSION,
            clientCapabilities={"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False},
            clientInfo={"name": "agenthost", "version": "1"},
        )
        if told.get("protocolVersion") != PROTOCOL_VERSION:
            raise ChildError(
                f"the agent speaks version {told.get('protocolVersion')} of the protocol, not {PROTOCOL_VERSION}"
            )
        if self._login:
            self._connection.call("authenticate", methodId=self._login)
        opened = self._connection.call("session/new", cwd=folder, mcpServers=[])
        self._id = str(opened.get("sessionId", ""))
        if self._mode:
            self._enter(self._mode, opened)

    def prompt(self, text: str) -> bool:
        """Asks, and tells what the agent does and says until the turn ends; returns whether it ended in order."""
        blocks = [{"type": "text", "text": text}]
        self._updates.in_turn = True
        result = self._connection.call("session/prompt", sessionId=self._id, prompt=blocks)
        self._updates.in_turn = False
        self._turns += 1
        taken, given = tokens_in(result)
        self._tokens = [self._tokens[0] + taken, self._tokens[1] + given]
        if any(self._tokens):
            self._voice.usage(self._tokens[0], self._tokens[1], self._turns)
        reason = str(result.get("stopReason", ""))
        if reason not in ENDS:
            self._voice.log(f"the agent ended its turn with {reason or 'no reason'}")
        return reason in ENDS

    def cancel(self) -> None:
        """Asks the agent to stop its turn."""
        self._connection.notify("session/cancel", sessionId=self._id)

    def _take(self, method: str, parameters: Mapping[str, Any]) -> None:
        """Takes a notification of the agent."""
        if method == "session/update":
            self._updates.take(table(parameters.get("update")))

    def _enter(self, mode: str, opened: Mapping[str, Any]) -> None:
        """Sets the mode, by whichever of the two ways the agent has; one that has neither is refused."""
        modes = opened.get("modes")
        if isinstance(modes, dict):
            if modes.get("currentModeId") != mode:
                self._connection.call("session/set_mode", sessionId=self._id, modeId=mode)
            return
        if "mode" not in [one.get("id") for one in tables(opened.get("configOptions"))]:
            raise ChildError(f"the agent has no modes, so it cannot be put into '{mode}'")
        self._connection.call("session/set_config_option", sessionId=self._id, configId="mode", value=mode)


def answer(voice: Voice, method: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Answers a request of the agent: its permissions are decided, everything else is not offered."""
    if method != "session/request_permission":
        voice.denial(f"the agent asked for {method}, which is not offered")
        return None
    call = table(parameters.get("toolCall"))
    may = str(call.get("kind")) in READING
    if not may:
        voice.denial(f"refused: {call.get('title') or call.get('kind') or 'a tool'}")
    wanted = ("allow_once",) if may else ("reject_once", "reject_always")
    for option in tables(parameters.get("options")):
        if option.get("kind") in wanted:
            return {"outcome": {"outcome": "selected", "optionId": option.get("optionId")}}
    return {"outcome": {"outcome": "cancelled"}}
