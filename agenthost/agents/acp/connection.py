"""JSON-RPC 2.0 with a child process: a message a line, requests in both directions. It knows no method."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

MAX_LINE_BYTES = 16 * 1024 * 1024
END_SECONDS = 5.0
METHOD_NOT_FOUND = -32601

# Answers a request of the other side: its method and parameters in, a result out; None where there is no such method.
Answering = Callable[[str, Mapping[str, Any]], Mapping[str, Any] | None]
Noticing = Callable[[str, Mapping[str, Any]], None]


class RpcError(Exception):
    """The agent refused a request, or is gone."""


class Connection:
    """A conversation with an agent that was started for it."""

    def __init__(self, command: Sequence[str], answer: Answering, notice: Noticing) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._answer, self._notice = answer, notice
        self._last_id = 0

    def call(self, method: str, **parameters: Any) -> Mapping[str, Any]:
        """Sends a request and serves the agent until its response; raises RpcError."""
        self._last_id += 1
        self._send({"id": self._last_id, "method": method, "params": parameters})
        for message in self._messages():
            if "method" in message:
                self._serve(message)
            elif message.get("id") == self._last_id:
                return _result(method, message)
        raise RpcError(f"the agent ended before it answered {method}")

    def notify(self, method: str, **parameters: Any) -> None:
        """Sends what needs no response."""
        self._send({"method": method, "params": parameters})

    def close(self) -> int:
        """Ends the conversation: EOF, then a signal; returns the agent's exit code."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            return self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

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
        if self._process.stdin is None:
            raise RpcError("the agent has no stdin")
        try:
            self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise RpcError(f"the agent reads no more: {error.strerror}") from error

    def _messages(self) -> Iterator[Mapping[str, Any]]:
        """Yields what the agent says; lines that are no message are passed over, as a stray print is."""
        if self._process.stdout is None:
            return
        while line := self._process.stdout.readline(MAX_LINE_BYTES):
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(message, dict):
                yield message


def _result(method: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
    error = message.get("error")
    if isinstance(error, dict):
        data = error.get("data")
        detail = f" ({json.dumps(data)[:300]})" if data else ""
        raise RpcError(f"{method}: {str(error.get('message', 'refused'))[:500]}{detail}")
    result = message.get("result")
    return result if isinstance(result, dict) else {}
