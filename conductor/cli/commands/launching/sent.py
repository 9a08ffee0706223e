"""Decides whether a workspace is sent to the conductor, or only named to it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import grpc

from conductor.cli.addresses import read_addresses
from conductor.cli.commands.launching.refusal import in_options
from conductor.cli.connection import CALL_SECONDS, Connection
from conductor.cli.main import Context
from conductor.cli.text.failure import CommandError, from_rpc
from conductor.v1 import run_service_pb2, server_service_pb2
from servicekit.printing.page import say
from servicekit.statuses import read_refusal

Request = run_service_pb2.CreateRunRequest
Answer = TypeVar("Answer")
# The conductor's words for a path that is none on its machine.
_UNSEEN = "is not a directory that the conductor can see"


class Sender:
    """Sends the workspace of a request where that is needed, once."""

    def __init__(self, context: Context, connection: Connection, options: Mapping[str, object]) -> None:
        self._context = context
        self._connection = connection
        self._is_wanted = options.get("push")
        self._is_local_only = bool(options.get("local_only"))
        self._takes_secrets = bool(options.get("include_secrets"))

    def send_elsewhere(self, request: Request) -> None:
        """Sends the workspace where the conductor is on another machine, or the user wants it sent; never a URL."""
        if self._is_wanted is False or request.workspace.url:
            return
        is_elsewhere = not _is_near(self._context.address)
        if is_elsewhere and self._is_local_only:
            told = f"--local-only: the conductor at {self._context.address} is on another machine; nothing was sent"
            raise CommandError(told)
        if is_elsewhere or self._is_wanted:
            self._send(request)

    def ask(self, call: Callable[[], Answer], request: Request) -> Answer:
        """Returns the answer of a call about a request; sends the workspace where the conductor answers that it cannot see it."""
        try:
            return call()
        except grpc.RpcError as error:
            is_sent = bool(request.workspace.snapshot) or self._is_wanted is False
            if is_sent or not _is_unseen(error) or not Path(request.workspace.path).is_dir():
                raise
        say(f"the conductor at {self._context.address} cannot see this directory", err=True)
        if self._is_local_only:
            raise CommandError("--local-only: the workspace would be sent to the conductor; nothing was sent")
        self._send(request)
        return call()

    def _send(self, request: Request) -> None:
        from conductor.cli.pushing.delivery import PASSING
        from conductor.cli.pushing.push import push_workspace

        # A large workspace takes a minute to read: first of all, the conductor must answer.
        self._connection.server.GetServerInfo(server_service_pb2.GetServerInfoRequest(), timeout=CALL_SECONDS)
        try:
            ready = push_workspace(self._connection, request.workspace, takes_secrets=self._takes_secrets)
        except CommandError as error:
            raise in_options(error, request) from error
        except grpc.RpcError as error:
            shown = from_rpc(error, self._context.address)
            goes_on = ("what arrived is kept for a day: the same command goes on from there",)
            lines = (*(goes_on if read_refusal(error).code in PASSING else ()), *shown.lines)
            raise CommandError(f"the workspace was not sent: {shown}", lines=lines, code=shown.code) from error
        request.workspace.CopyFrom(ready)


def _is_near(address: str) -> bool:
    return all(one.is_local for one in read_addresses(address))


def _is_unseen(error: grpc.RpcError) -> bool:
    return any(text == _UNSEEN for _, text in read_refusal(error).violations)
