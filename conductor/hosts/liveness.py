"""One host: watched while the conductor runs; the engine hears of every change.

Its silence is the liveness signal: a blocked host answers pings, but sends no heartbeat. This module knows no attempts.
"""

import asyncio
import errno
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import grpc
import structlog

from agenthost.v1 import host_service_pb2 as pb
from agenthost.v1.host_service_pb2_grpc import HostServiceStub
from conductor.core.model.inputs import HostReported
from conductor.hosts.host_view import HostState, HostView, reported
from conductor.hosts.short_calls import ChannelClosedError, call_once
from servicekit.statuses import Refusal, read_refusal

if TYPE_CHECKING:  # a name of the stubs only
    from agenthost.v1.host_service_pb2_grpc import HostServiceAsyncStub

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
# A timer that fires later than this shows that this process was stopped: the silence was its own.
LATE_SECONDS = 1.0
# For so long the cause of a failed connection is kept.
EXPLAINED_SECONDS = 30.0
# gRPC's words for a server that was reached and with which no handshake came about; the causes read alike.
TLS_FAILED = re.compile(r"socket closed|handshake|verification check|unwrap failed|TSI_", re.IGNORECASE)
QUIET_CALL_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class HostLink:
    """Follows a host."""

    def __init__(
        self,
        view: HostView,
        channel: grpc.aio.Channel,
        note: Callable[[HostReported], None],
        *,
        now: Callable[[], float],
        silence_seconds: float,
        attached: Callable[[], None],
        explain: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        self._view = view
        self._stub: HostServiceAsyncStub = HostServiceStub(channel)
        self._note = note
        self._now = now
        self._silence_seconds = silence_seconds
        self._attached = attached
        self._explain = explain
        self._explained = ("", "", -EXPLAINED_SECONDS)  # what gRPC said, the cause that was found, and when
        self._disabled = asyncio.Event()
        self._quiet: dict[str, float] = {}  # pools that the host is to keep quiet, until when
        self._is_told_quiet = asyncio.Event()
        self._heard_at = 0.0
        self._is_silent = False

    @property
    def view(self) -> HostView:
        """Returns what is known of the host."""
        return self._view

    def disable(self, problem: str) -> None:
        """Stops using the host for good, because of a problem that only a person can mend."""
        self._lose(problem)
        self._disabled.set()

    def keep_quiet(self, pool: str, seconds: float) -> None:
        """Tells the host to keep a pool quiet. Never waits; a call that fails is not repeated, since its time is short."""
        self._quiet[pool] = asyncio.get_running_loop().time() + seconds
        self._is_told_quiet.set()

    async def run(self) -> None:
        """Follows the host until it is cancelled, or disabled."""
        async with asyncio.TaskGroup() as tasks:
            working = (tasks.create_task(self._follow()), tasks.create_task(self._tell_quiet()))
            await self._disabled.wait()
            for task in working:
                task.cancel()

    async def _tell_quiet(self) -> None:
        while True:
            await self._is_told_quiet.wait()
            self._is_told_quiet.clear()
            quiet, self._quiet = self._quiet, {}
            for pool, until in quiet.items():
                request = pb.KeepQuietRequest(pool=pool)
                request.time.FromTimedelta(timedelta(seconds=max(0.0, until - asyncio.get_running_loop().time())))
                try:
                    await call_once(self._stub.KeepQuiet, request, QUIET_CALL_SECONDS)
                except grpc.aio.AioRpcError as error:
                    _log.info("quiet_not_told", host=self._view.name, pool=pool, code=error.code().name)
                except ChannelClosedError:  # it was opened again meanwhile
                    continue

    async def _follow(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            heard_before = self._heard_at
            problem = await self._watch()
            self._lose(problem)
            pause = FIRST_PAUSE_SECONDS if self._heard_at > heard_before else min(pause * 2, LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause)

    async def _watch(self) -> str:
        """Reads one stream to its end; returns the problem that ended it."""
        call = self._stub.WatchHost(pb.WatchHostRequest())
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._cancel_when_silent(call))
                problem = await self._read(call)
                watching.cancel()
            return problem
        finally:
            call.cancel()

    async def _read(self, call: "grpc.aio.UnaryStreamCall[pb.WatchHostRequest, pb.WatchHostResponse]") -> str:
        try:
            while isinstance(response := await call.read(), pb.WatchHostResponse):
                self._hear(response)
        except grpc.aio.AioRpcError as error:
            return await self._problem_of(read_refusal(error))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            if self._is_silent:
                return f"has been silent for more than {self._silence_seconds:g} s"
            return "is connected again, because a certificate was replaced or has ended"
        return "the host ended the call"

    async def _problem_of(self, refusal: Refusal) -> str:
        if refusal.reason == "SHUTTING_DOWN":
            return "the host is stopping"
        if refusal.reason:
            return f"refuses this conductor: {refusal.message}" + (f"; {refusal.hint}" if refusal.hint else "")
        cause = await self._cause(refusal.message)
        return cause or f"cannot be reached at {self._view.address}: {_why(refusal.message)}"

    async def _cause(self, message: str) -> str:
        """Returns why TLS fails, of which gRPC says little; empty where it does not. Looks at most twice a minute."""
        said, cause, looked_at = self._explained
        now = asyncio.get_running_loop().time()
        if self._explain is None or not TLS_FAILED.search(message):
            return ""
        if message != said or now - looked_at >= EXPLAINED_SECONDS:
            cause = await self._explain()
            self._explained = message, cause, now
        return cause

    async def _cancel_when_silent(
        self, call: "grpc.aio.UnaryStreamCall[pb.WatchHostRequest, pb.WatchHostResponse]"
    ) -> None:
        steady = asyncio.get_running_loop().time
        self._heard_at = steady()
        self._is_silent = False
        while (left := self._heard_at + self._silence_seconds - steady()) > 0:
            due = steady() + left
            await asyncio.sleep(left)
            if steady() - due > LATE_SECONDS:
                self._heard_at = steady()
        self._is_silent = True
        call.cancel()

    def _hear(self, response: pb.WatchHostResponse) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        view = replace(self._view, last_seen=self._now(), disconnected_since=None)
        if response.HasField("host"):
            host = response.host
            state = HostState.DRAINING if host.state == pb.Host.STATE_DRAINING else HostState.READY
            view = replace(view, state=state, problem=_misnamed(view, host.name), host=host)
            self._note(reported(view.name, host, view.address))
        came = self._view.state in {HostState.CONNECTING, HostState.DISCONNECTED}
        self._view = view
        if came and view.state in {HostState.READY, HostState.DRAINING}:
            _log.info("host_connected", host=view.name, address=view.address)
            self._attached()

    def _lose(self, problem: str) -> None:
        was = self._view.state
        lost = HostState.CONNECTING if was is HostState.CONNECTING else HostState.DISCONNECTED
        since = self._view.disconnected_since or self._now() if lost is HostState.DISCONNECTED else None
        is_missed = was is HostState.CONNECTING and not self._view.problem
        self._view = replace(self._view, state=lost, problem=problem, disconnected_since=since)
        if is_missed:  # noted once: steps that wait for the host say so
            _log.warning("host_not_reached", host=self._view.name, problem=problem)
            self._note(HostReported(self._view.name, connected=False, address=self._view.address))
        if was in {HostState.READY, HostState.DRAINING}:
            _log.warning("host_disconnected", host=self._view.name, problem=problem)
            self._note(HostReported(self._view.name, connected=False, address=self._view.address))


def _misnamed(view: HostView, name: str) -> str:
    if name == view.name:
        return ""
    others = f"conductor serve --host {name}={view.address}"
    return f"calls itself '{name}'; start it with agenthost serve --name {view.name}, or the conductor with:  {others}"


def _why(message: str) -> str:
    """Returns the system's own words where gRPC ends with them: it names the address and every layer before, up to three times."""
    words = (
        os.strerror(code)
        for code in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENOENT, errno.EACCES)
    )
    return next((text.lower() for text in words if message.endswith(text)), message)
