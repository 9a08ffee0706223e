"""JSON-RPC 2.0 with an agent: requests in both directions. It knows no method."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from .child import Child, ChildError

METHOD_NOT_FOUND = -32601

# Answers a request of the other side: its method and parameters in, a result out; None where there is no such method.
Answering = Callable[[str, Mapping[str, Any]], Mapping[str, Any] | None]
Noticing = Callable[[str, Mapping[str, Any]], None]


class Connection:
    """A conversation with an agent: both sides ask, both sides notify."""

    def __init__(self, child: Child, answer: Answering, notice: Noticing) -> None:
        self._child, self._messages = child, child.messages()
        self._answer, self._notice = answer, notice
        self._last_id = 0

    def call(self, method: str, **parameters: Any) -> Mapping[str, Any]:
        """Sends a request and serves the agent until its response; raises ChildError."""
        wanted = self.request(method, **parameters)
        for message in self._messages:
            if "method" in message:
                self._serve(message)
            elif message.get("id") == wanted:
                return _result(method, message)
        raise ChildError(f"the agent ended before it answered {method}")

    def request(self, method: str, **parameters: Any) -> int:
        """Sends a request whose response nothing waits for; returns its id."""
        self._last_id += 1
        self._send({"id": self._last_id, "method": method, "params": parameters})
        return self._last_id

    def serve_until(self, is_over: Callable[[], bool], what: str) -> None:
        """Serves the agent until this is true; raises ChildError when the agent ends before."""
        while not is_over():
            message = next(self._messages, None)
            if message is None:
                raise ChildError(f"the agent ended before {what}")
            if "method" in message:
                self._serve(message)

    def notify(self, method: str, **parameters: Any) -> None:
        """Sends what needs no response."""
        self._send({"method": method, "params": parameters})

    def _serve(self, message: Mapping[str, Any]) -> None:
        method, parameters = str(message["method"]), message.get("params")
        given = parameters if isinstance(parameters, dict) else {}
        if "id" not in message:
            self._notice(method, given)
            return
        result = self._answer(method, given)
        if result is None:
            error = {"code": METHOD_NOT_FOUND, "message": f"{method} is not supported"}
            self._send({"id": message["id"], "error": error})
        else:
            self._send({"id": message["id"], "result": result})

    def _send(self, message: Mapping[str, Any]) -> None:
        self._child.send({"jsonrpc": "2.0", **message})


def _result(method: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
    error = message.get("error")
    if isinstance(error, dict):
        data = error.get("data")
        detail = f" ({json.dumps(data)[:300]})" if data else ""
        raise ChildError(f"{method}: {str(error.get('message', 'refused'))[:500]}{detail}")
    result = message.get("result")
    return result if isinstance(result, dict) else {}
