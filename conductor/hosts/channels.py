"""The channels to hosts. One with TLS is opened again with another certificate while calls go on.

A host is dialled at any address, and must show the certificate of its name: host A cannot answer for B. Unix sockets are dialled
without TLS. gRPC's credentials for channels are fixed. So the stubs of a host's links call through `HostChannel`, and each new call
takes the channel that is the newest then. Streams of an older one are ended, and begin again by themselves; other calls may end.

gRPC does not tell a host's certificate, so a handshake of its own reads that. When it ends, the channel is opened again: a
connection would outlive it, and the host must show another one.
"""

import asyncio
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc

from servicekit.addresses import Address
from servicekit.channels import open_channel
from servicekit.tls.files import TlsError
from servicekit.tls.identity import Identity, Kind

if TYPE_CHECKING:  # it needs a library that a conductor without TLS does not load
    from conductor.hosts.renewal import Renewal
    from conductor.hosts.revocations import RevocationExchange
    from servicekit.tls.credentials import WatchedFiles

# How often the certificate's files are looked at.
LOOK_SECONDS = 5.0
# How often a host's certificate is looked at, and where it was not seen.
LOOK_AGAIN_SECONDS, LOOK_SOON_SECONDS = 3600.0, 30.0
MOST_HANDSHAKES = 3
# For calls of an older channel, such as pushes of snapshots, which end by themselves.
CLOSING_SECONDS = 1800.0

OpenChannel = Callable[[], grpc.aio.Channel]


class HostChannels:
    """Opens channels to hosts, with the conductor's certificate where there is one."""

    def __init__(
        self,
        watched: "WatchedFiles | None" = None,
        revocations: "RevocationExchange | None" = None,
        renewal: "Renewal | None" = None,
    ) -> None:
        self._watched = watched
        self._renewal = renewal
        self._revocations = revocations
        self._opened: weakref.WeakSet[HostChannel] = weakref.WeakSet()
        # Each takes a thread, for some seconds where a host stalls.
        self._handshakes = asyncio.Semaphore(MOST_HANDSHAKES)

    def open(self, name: str, address: str) -> grpc.aio.Channel:
        """Opens a channel to the host of that name; raises TlsError where there is no certificate for it."""
        place = Address.parse_dialled(address, is_anywhere=True)
        if self._watched is None and not place.is_local:
            raise TlsError(
                f"the host '{name}' at '{address}' is another machine, which needs TLS, and this conductor has no certificates",
                hint=MAKE_CERTIFICATES,
            )
        if self._watched is None or place.socket:
            return open_channel(place.target, many_streams=True)
        channel = HostChannel(name, place.target, partial(self._open_with_tls, name, place.target, self._watched))
        self._opened.add(channel)
        return channel  # type: ignore[return-value] # stubs and owners use no more of a channel than it has

    async def explain(self, name: str, address: str) -> str:
        """Returns the trouble with TLS at the address of that host, and what mends it; empty where there is none."""
        place = Address.parse_dialled(address, is_anywhere=True)
        if place.socket:
            return ""
        if self._is_revoked(name):
            return f"its certificate was revoked; remove it:  conductor hosts remove {name}"
        from conductor.hosts.tls_trouble import tls_trouble  # noqa: PLC0415 (a conductor without trouble does not load it)

        async with self._handshakes:
            return await asyncio.to_thread(tls_trouble, name, place.target, self._watched)

    def _open_with_tls(self, name: str, target: str, watched: "WatchedFiles") -> grpc.aio.Channel:
        from servicekit.tls.credentials import channel_credentials  # noqa: PLC0415

        credentials = channel_credentials(watched.material)
        identity = Identity(watched.identity.pool, Kind.HOST, name)
        server_name = NO_NAME if self._is_revoked(name) else identity.server_name
        return open_channel(target, many_streams=True, credentials=credentials, server_name=server_name)

    def certificate_end(self, name: str) -> float | None:
        """Returns when the certificate of that host ends; None where none was seen, as over a unix socket."""
        return next((channel.end for channel in self._live() if channel.name == name and channel.end), None)

    async def run(self) -> None:
        """Opens channels again whenever a certificate has changed or ended, until it is cancelled."""
        while True:
            if self._watched is not None:
                if self._watched.refresh():
                    for channel in self._live():
                        channel.open_again()
                await asyncio.gather(*(self._look_at(channel, self._watched) for channel in self._live()))
            if self._revocations is not None:
                await self._revocations.exchange(self._live())
                self._shut_revoked()
            if self._renewal is not None:
                await self._renewal.renew(self._live())
            await asyncio.sleep(LOOK_SECONDS)

    def _live(self) -> "tuple[HostChannel, ...]":
        return tuple(channel for channel in self._opened if not channel.is_closed)

    def _shut_revoked(self) -> None:
        for channel in self._live():
            if self._is_revoked(channel.name) and not channel.is_shut:
                channel.is_shut = True
                channel.open_again(closing_seconds=0.0)

    def _is_revoked(self, name: str) -> bool:
        return self._revocations is not None and self._revocations.is_revoked_host(name)

    async def _look_at(self, channel: "HostChannel", watched: "WatchedFiles") -> None:
        now = time.time()
        if now < channel.next_look or not channel.is_ready:
            return
        from conductor.hosts.tls_trouble import certificate_end  # noqa: PLC0415 (as in `explain`)

        async with self._handshakes:
            end = await asyncio.to_thread(certificate_end, channel.name, channel.target, watched)
        if end is None and channel.end is not None and now >= channel.end:
            channel.end = None
            channel.open_again()
        channel.end = end or channel.end
        channel.next_look = min(now + LOOK_AGAIN_SECONDS, end) if end else now + LOOK_SOON_SECONDS


# The name that a revoked host would have to show: no certificate of the pool has it.
NO_NAME = "revoked.invalid"
MAKE_CERTIFICATES = "make them, and start again:  conductor certs init --data DIR, conductor serve --data DIR"


class HostChannel:
    """Stands for the channel to a host."""

    def __init__(self, name: str, target: str, open_channel: OpenChannel) -> None:
        self.name = name
        self.target = target
        self.end: float | None = None  # of the host's certificate, and when to look at it
        self.next_look = 0.0
        self.is_shut = False
        self.is_closed = False
        self._open = open_channel
        self._channel = open_channel()
        self._closing: dict[asyncio.Task[None], grpc.aio.Channel] = {}
        self.streams: weakref.WeakSet[Any] = weakref.WeakSet()
        self.generation = 0

    def unary_unary(self, *described: Any, **options: Any) -> "_Method":
        """Returns the method, for a stub."""
        return _Method(self, "unary_unary", described, options)

    def unary_stream(self, *described: Any, **options: Any) -> "_Method":
        """Returns the method, for a stub."""
        return _Method(self, "unary_stream", described, options)

    def stream_unary(self, *described: Any, **options: Any) -> "_Method":
        """Returns the method, for a stub."""
        return _Method(self, "stream_unary", described, options)

    def stream_stream(self, *described: Any, **options: Any) -> "_Method":
        """Returns the method, for a stub."""
        return _Method(self, "stream_stream", described, options)

    @property
    def is_ready(self) -> bool:
        """True while it is connected: only then is there a certificate to look at."""
        return self._channel.get_state() is grpc.ChannelConnectivity.READY

    def callable_of(self, kind: str, described: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Returns the newest channel's own method."""
        return getattr(self._channel, kind)(*described, **options)

    def open_again(self, closing_seconds: float = CLOSING_SECONDS) -> None:
        """Opens a new channel for all further calls, and ends the streams of the one before."""
        if self.is_closed:
            return
        before, self._channel = self._channel, self._open()
        self.generation += 1
        for call in tuple(self.streams):
            call.cancel()
        closing = asyncio.get_running_loop().create_task(before.close(closing_seconds))
        self._closing[closing] = before
        closing.add_done_callback(lambda task: self._closing.pop(task, None))

    async def close(self) -> None:
        """Closes all channels now."""
        self.is_closed = True
        waiting, channels = tuple(self._closing), (self._channel, *self._closing.values())
        for closing in waiting:
            closing.cancel()
        if waiting:
            await asyncio.wait(waiting)
        for channel in channels:
            await channel.close()


class _Method:
    """A method of a stub; each call of it is one of the newest channel."""

    def __init__(self, channel: HostChannel, kind: str, described: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._channel = channel
        self._made = (kind, described, options)
        self._generation = -1
        self._callable: Any = None

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if self._generation != self._channel.generation:
            self._callable = self._channel.callable_of(*self._made)
            self._generation = self._channel.generation
        call = self._callable(*arguments, **options)
        if self._made[0].endswith("_stream"):
            self._channel.streams.add(call)
        return call
