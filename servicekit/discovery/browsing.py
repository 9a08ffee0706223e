"""Looks for hosts that announce themselves, for a few seconds."""

import threading
from collections.abc import Sequence

from zeroconf import InterfaceChoice, ServiceBrowser, ServiceListener, Zeroconf

from servicekit.discovery.announcement import SERVICE, Announcement, read_announcement

MOST_FOUND = 200
_ANSWER_MILLISECONDS = 1000


class _Listener(ServiceListener):
    """Notes the names of services, so many at most."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:  # noqa: ARG002 (the library's)
        if len(self.names) < MOST_FOUND:
            self.names.add(name)

    update_service = add_service

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:  # noqa: ARG002 (the library's)
        self.names.discard(name)


def browse(seconds: float, interfaces: Sequence[str] = ()) -> list[Announcement]:
    """Returns the hosts that announced themselves, by name. `interfaces`: addresses of this machine; all where none is given."""
    network = Zeroconf(interfaces=list(interfaces) or InterfaceChoice.All)
    try:
        listener = _Listener()
        browser = ServiceBrowser(network, SERVICE, listener=listener)
        threading.Event().wait(seconds)
        names = sorted(listener.names)
        browser.cancel()
        found = [_ask(network, name) for name in names]
        return sorted(one for one in found if one is not None)
    finally:
        network.close()


def _ask(network: Zeroconf, name: str) -> Announcement | None:
    info = network.get_service_info(SERVICE, name, timeout=_ANSWER_MILLISECONDS)
    if info is None:
        return None
    return read_announcement(name, info.parsed_addresses(), info.port, info.properties)
