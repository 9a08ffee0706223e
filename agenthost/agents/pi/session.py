"""One session of `pi --mode rpc`: prompts go in, and events come out until pi has settled.

pi asks for no permission: its command line leaves it tools that only read, and it tells the model that there are no others. What an
extension would ask a person is refused.
"""

from collections.abc import Mapping
from typing import Any

from ..bridge.child import Child, ChildError
from ..bridge.telling import Telling
from .events import Events


class Session:
    """pi at work."""

    def __init__(self, child: Child, telling: Telling) -> None:
        self._child, self._messages = child, child.messages()
        self._telling, self._events = telling, Events(telling)
        self._prompts = 0

    def begin(self, folder: str) -> None:
        """Does nothing: pi has its session when it starts, over the current folder."""

    def prompt(self, text: str) -> bool:
        """Asks, and tells what pi does and says until it has settled; returns whether it ended in order."""
        self._prompts += 1
        self._events.begin_turn()
        self._child.send({"type": "prompt", "id": f"prompt-{self._prompts}", "message": text})
        for message in self._messages:
            self._take(message)
            if self._events.is_over:
                return self._events.is_good
        raise ChildError("pi ended before its turn was over")

    def cancel(self) -> None:
        """Asks pi to stop its turn."""
        self._child.send({"type": "abort"})

    def _take(self, message: Mapping[str, Any]) -> None:
        match message.get("type"):
            case "response":
                if message.get("success") is not True and message.get("command") in {"prompt", "parse"}:
                    raise ChildError(f"pi refused the prompt: {message.get('error')}")
            case "extension_ui_request":
                self._telling.voice.denial(
                    f"an extension of pi asked for {message.get('method')}, which is not offered"
                )
                self._child.send({"type": "extension_ui_response", "id": message.get("id"), "cancelled": True})
            case _:
                self._events.take(message)
