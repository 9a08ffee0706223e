"""A server's address: which there are, which process has one, and what its health says. Keeps K3 and grpc.md's rules."""

from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2

from servicekit.addresses import Address, AddressError, AddressInUseError, refuse_taken
from servicekit.server import Server
from tests.servicekit.served import Served, health_of, nothing


async def test_health_is_serving_until_it_is_told_to_stop(tmp_path: Path) -> None:
    served = Served(nothing, tmp_path)
    async with served:
        assert await health_of(served.server.target) == [health_pb2.HealthCheckResponse.SERVING] * 2
        await served.server.tell_stopping()
        assert await health_of(served.server.target) == [health_pb2.HealthCheckResponse.NOT_SERVING] * 2


async def test_a_live_socket_is_not_taken_over_and_a_dead_one_is(tmp_path: Path) -> None:
    """Keeps grpc.md's rule 8."""
    address = Address.parse(f"unix:{tmp_path}/s")
    first = await Server.start(address, [], service="conductor")
    with pytest.raises(AddressInUseError):
        await Server.start(address, [], service="conductor")
    assert (await health_of(first.target))[0] == health_pb2.HealthCheckResponse.SERVING
    await first.stop(0)

    (tmp_path / "s").touch()  # what a killed process leaves
    second = await Server.start(address, [], service="conductor")
    assert (await health_of(second.target))[0] == health_pb2.HealthCheckResponse.SERVING
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
    await second.stop(0)


async def test_a_port_is_not_shared(tmp_path: Path) -> None:
    first = await Server.start(Address.parse("127.0.0.1:0"), [], service="conductor")
    with pytest.raises(AddressInUseError):
        await Server.start(Address.parse(first.target), [], service="conductor")
    await first.stop(0)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "unix:{}/s"])
async def test_whether_an_address_is_taken_is_known_without_listening(listen: str, tmp_path: Path) -> None:
    address = Address.parse(listen.format(tmp_path))
    refuse_taken(address)
    assert list(tmp_path.iterdir()) == []

    first = await Server.start(address, [], service="conductor")
    with pytest.raises(AddressInUseError):
        refuse_taken(Address.parse(first.target))
    assert (await health_of(first.target))[0] == health_pb2.HealthCheckResponse.SERVING
    await first.stop(0)

    refuse_taken(Address.parse(first.target))


@pytest.mark.parametrize("text", ["127.0.0.1:0", "localhost:7777", "[::1]:50051", "127.8.8.8:1", "unix:/tmp/x"])
def test_loopback_and_unix_are_addresses(text: str) -> None:
    assert Address.parse(text).target == text


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0:1",
        "[::]:1",
        "192.168.1.1:80",
        "example.org:80",
        "localhost",
        ":80",
        "127.0.0.1:x",
        "127.0.0.1:65536",
        "unix:",
        f"unix:/{'x' * 107}",
    ],
)
def test_any_other_address_is_refused(text: str) -> None:
    """Keeps K3."""
    with pytest.raises(AddressError):
        Address.parse(text)


@pytest.mark.parametrize("port", ["65536", "80000", "9" * 5000])
def test_a_port_that_is_too_large_is_called_that(port: str) -> None:
    with pytest.raises(AddressError, match="is too large: give one up to 65535"):
        Address.parse(f"127.0.0.1:{port}")
