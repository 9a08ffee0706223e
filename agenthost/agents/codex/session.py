"""One thread of `codex app-server`: initialize, a read-only thread, and turns.

codex reads files by commands. Those that it does not know to be harmless it asks for: the ones that it takes apart into reading,
listing and searching are allowed, and those that read git's history; everything else is refused and told as a denial. Its own
sandbox cannot be built inside ours, so each turn says that there is one outside.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from ..bridge.child import Child
from ..bridge.rpc import Connection
from ..bridge.telling import Telling, tables, text_of
from ..voice import Voice
from .commands import only_reads_history
from .items import Items

READING = frozenset({"read", "listFiles", "search"})
ASKS = "untrusted"  # codex asks before each command that it does not know to be harmless
OUTSIDE = {"type": "externalSandbox", "networkAccess": "restricted"}
DECLINED: Mapping[str, Any] = {"decision": "decline"}
REFUSALS: Mapping[str, tuple[str, Mapping[str, Any] | None]] = {
    "item/fileChange/requestApproval": ("refused: a change of files", DECLINED),
    "item/permissions/requestApproval": ("refused: more permissions", {"permissions": {}}),
    "item/tool/requestUserInput": ("the agent asked a question, and there is no person to answer it", {"answers": {}}),
    "mcpServer/elicitation/request": ("refused: a form of an MCP server", {"action": "decline", "content": None}),
}


class Session:
    """codex at work."""

    def __init__(self, child: Child, telling: Telling) -> None:
        self._items = Items(telling)
        self._voice = telling.voice
        self._connection = Connection(child, partial(answer, self._voice), self._items.take)
        self._thread = ""

    def begin(self, folder: str) -> None:
        """Opens a thread that is read-only, and leaves nothing on disk; raises ChildError."""
        self._connection.call("initialize", clientInfo={"name": "conductor", "title": "Conductor", "version": "1"})
        self._connection.notify("initialized")
        opened = self._connection.call(
            "thread/start", cwd=folder, sandbox="read-only", approvalPolicy=ASKS, ephemeral=True
        )
        self._thread = text_of(opened.get("thread"), "id")

    def prompt(self, text: str) -> bool:
        """Asks, and tells what codex does and says until its turn ends; returns whether it ended in order."""
        self._items.begin_turn()
        given = [{"type": "text", "text": text}]
        self._connection.call("turn/start", threadId=self._thread, input=given, sandboxPolicy=OUTSIDE)
        self._connection.serve_until(lambda: self._items.end != "", "its turn was over")
        if self._items.end != "completed":
            self._voice.log(f"codex ended its turn as {self._items.end}: {self._items.failure}")
        return self._items.end == "completed"

    def cancel(self) -> None:
        """Asks codex to stop its turn."""
        self._connection.request("turn/interrupt", threadId=self._thread, turnId=self._items.turn)


def answer(voice: Voice, method: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Answers a request of codex: its permissions are decided, everything else is not offered."""
    if method == "item/commandExecution/requestApproval":
        if _only_reads(parameters):
            return {"decision": "accept"}
        voice.denial(f"refused: {parameters.get('command') or 'a command'}")
        return DECLINED
    told, result = REFUSALS.get(method, (f"the agent asked for {method}, which is not offered", None))
    voice.denial(told)
    return result


def _only_reads(asked: Mapping[str, Any]) -> bool:
    """Returns whether a command is made of reading alone, and asks for nothing beside it."""
    actions = tables(asked.get("commandActions"))
    more = asked.get("additionalPermissions") or asked.get("networkApprovalContext")
    return bool(actions) and all(map(_is_reading, actions)) and not more


def _is_reading(action: Mapping[str, Any]) -> bool:
    return str(action.get("type")) in READING or only_reads_history(text_of(action, "command"))
