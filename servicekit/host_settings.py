"""Hosts as configurations and requests name them: a name and the address that is dialled. Checks both; dials nothing."""

from dataclasses import dataclass

from servicekit.addresses import Address, AddressError
from servicekit.errors import shown
from servicekit.tls.identity import is_name


@dataclass(frozen=True, slots=True)
class HostSetting:
    """A host to drive."""

    name: str
    address: str

    @property
    def target(self) -> str:
        """Its address for gRPC."""
        return Address.parse(self.address, is_anywhere=True).target


def read_host(name: str, address: object, *, has_tls: bool) -> tuple[HostSetting, dict[str, str]]:
    """Returns a host, and what is wrong with its `name` and its `address`. `has_tls`: there are certificates to dial with."""
    flaws: dict[str, str] = {}
    if not is_name(name):
        flaws["name"] = "a host's name must be [a-z0-9][a-z0-9-]* with at most 40 characters"
    try:
        dialled = Address.parse_dialled(address if isinstance(address, str) else shown(address), is_anywhere=True)
    except AddressError as error:
        flaws["address"] = str(error)
        return HostSetting(name, ""), flaws
    if not dialled.is_local and not has_tls:
        flaws["tls"] = f"'{dialled.text}' is another machine, which needs TLS, and there are no certificates"
    return HostSetting(name, dialled.text), flaws
