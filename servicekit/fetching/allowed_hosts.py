"""Decides which hosts and addresses a repository may be fetched from, by the operator's list. Pure.

An entry is an exact name or an address, with a port or for every port. A URL's host must be an entry. The address that a name
resolves to must be a public one of the internet, or be an entry itself: a name must not lead into the operator's own
network, which the caller may not be able to reach.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from servicekit.fetching.urls import Place, RepositoryUrl, UrlError, parse_place

# They hold an IPv4 address that another machine, or the kernel, would go to.
_TRANSLATED = tuple(
    ip_network(text) for text in ("::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
)
_OTHERS = tuple(ip_network(text) for text in ("192.88.99.0/24", "fec0::/10", "5f00::/16", "3fff::/20"))


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The operator's list. Empty: nothing is fetched."""

    entries: tuple[Place, ...] = ()

    def allows(self, url: RepositoryUrl) -> bool:
        """Returns whether the operator allows a URL's host at its port."""
        return self._lists(url.place.host, url.port)

    def why_refused(self, address: str, port: int) -> str:
        """Returns why a resolved address must not be connected to; empty where it may."""
        if self._lists(address, port):
            return ""
        return _why_not_public(ip_address(address))

    def __str__(self) -> str:
        return ", ".join(map(str, self.entries))

    def _lists(self, host: str, port: int) -> bool:
        return any(entry.host == host and entry.port in (0, port) for entry in self.entries)


def parse_allowed(texts: Iterable[str]) -> AllowedHosts:
    """Returns the list that some texts are; raises UrlError, which names the wrong one."""
    entries = []
    for text in texts:
        if "*" in text:
            raise UrlError(f"'{text}': there are no patterns; name each host")
        if "/" in text:
            raise UrlError(f"'{text}': give the host alone, as NAME or NAME:PORT, not a URL or a network")
        bare = f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text
        try:
            entries.append(parse_place(bare))
        except UrlError as error:
            raise UrlError(f"'{text}': it {error}") from error
    return AllowedHosts(tuple(dict.fromkeys(entries)))


def _why_not_public(address: IPv4Address | IPv6Address) -> str:
    kinds = (
        (address.is_loopback, "this machine itself"),
        (address.is_unspecified, "no address of a machine"),
        (_is_in(address, _TRANSLATED), "an IPv6 address that stands for an IPv4 address"),
        (address.is_link_local, "a link-local address"),
        (address.is_multicast, "a multicast address"),
        (address.is_private, "a private address"),
        (not address.is_global or address.is_reserved, "not an address of the public internet"),
        (_is_in(address, _OTHERS), "a reserved address"),
    )
    return next((why for holds, why in kinds if holds), "")


def _is_in(address: IPv4Address | IPv6Address, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return any(network.version == address.version and address in network for network in networks)
