"""A server's address: which there are, which process has one, and what its health says. Keeps K3 and grpc.md's rules."""

import socket
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

    with socket.socket(socket.AF_UNIX) as dead:  # what a killed process leaves
        dead.bind(str(tmp_path / "s"))
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


async def test_a_file_that_is_no_socket_stays_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(AddressError, match="a file that is no socket is there"):
        await Server.start(Address.parse(f"unix:{tmp_path}/notes"), [], service="conductor")

    assert (tmp_path / "notes").read_text() == "mine"


@pytest.mark.parametrize("listen", ["unix:{}/blocked/c.sock", "unix:{}"])
async def test_where_no_process_can_listen_is_told_as_that(listen: str, tmp_path: Path) -> None:
    (tmp_path / "blocked").touch()
    with pytest.raises(AddressError) as told:
        await Server.start(Address.parse(listen.format(tmp_path)), [], service="conductor")

    assert not isinstance(told.value, AddressInUseError)


@pytest.mark.parametrize("name", ["a%2Fb", "q?x=1", "h#y", "sp ace", "ü", "a;b&c=d", "[::1]:1", "http:"])
async def test_a_socket_is_at_the_path_that_is_written(name: str, tmp_path: Path) -> None:
    address = Address.parse(f"unix:{tmp_path}/{name}")
    server = await Server.start(address, [], service="conductor")
    assert (tmp_path / name).is_socket()
    assert await health_of(address.target) == [health_pb2.HealthCheckResponse.SERVING] * 2
    await server.stop(0)

    assert server.address.text == f"unix:{tmp_path}/{name}"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.8.8.8:0080", "127.8.8.8:80"),
        ("localhost:7777", "localhost:7777"),
        ("[::1]:50051", "[::1]:50051"),
        ("unix:/tmp/x", "unix:/tmp/x"),
        ("unix:///tmp/x", "unix:/tmp/x"),
    ],
)
def test_loopback_and_unix_are_addresses(text: str, meant: str) -> None:
    assert Address.parse(text).text == meant


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0.0.0.0:1", "reaches beyond this machine"),
        ("[::]:1", "reaches beyond this machine"),
        ("192.168.1.1:80", "reaches beyond this machine"),
        ("example.org:80", "reaches beyond this machine"),
        ("localhost", "is not an address"),
        (":80", "is not an address"),
        ("", "is not an address"),
        ("127.0.0.1", "is not an address"),
        ("127.0.0.1:", "is not an address"),
        ("127.0.0.1:x", "is not an address"),
        ("127.0.0.1:-1", "is not an address"),
        ("127.0.0.1:\u0661", "is not an address"),
        (" 127.0.0.1:80", "is not an address"),
        ("me@127.0.0.1:80", "is not an address"),
        ("127.0.0.1:80/path", "is not an address"),
        ("127.0.0.1:1,127.0.0.1:2", "is not an address"),
        ("127.0.0.1:65536", "is too large: give one up to 65535"),
        (f"127.0.0.1:{'9' * 5000}", "is too large: give one up to 65535"),
        ("::1:17134", r"in brackets, as \[::1\]:17134"),
        ("::1:", "is not an address"),
        ("[::1%lo]:1", "no IPv6 address between its brackets"),
        ("[127.0.0.1]:1", "no IPv6 address between its brackets"),
        ("[localhost]:1", "no IPv6 address between its brackets"),
        ("http://127.0.0.1:80", "begins with 'http:'"),
        ("dns:localhost:80", "begins with 'dns:'"),
        ("dns:///localhost:80", "begins with 'dns:'"),
        ("ipv4:127.0.0.1:80", "begins with 'ipv4:'"),
        ("ipv6:[::1]:80", "begins with 'ipv6:'"),
        ("tcp://127.0.0.1:80", "begins with 'tcp:'"),
        ("unix-abstract:x:1", "begins with 'unix-abstract:'"),
        ("unix:", "has 1 to 107 bytes"),
        ("unix:/tmp/", "ends with its name"),
        (f"unix:/{'x' * 107}", "has 1 to 107 bytes"),
        ("unix://tmp/x", "names a machine"),
        ("unix:~/c.sock", "the whole path"),
        ("unix:/a,b", "without comma and NUL"),
        ("unix:/a\0b", "without comma and NUL"),
        ("unix:/caf\udce9", "UTF-8"),
    ],
)
def test_any_other_address_is_refused_by_name(text: str, reason: str) -> None:
    """Keeps K3."""
    with pytest.raises(AddressError, match=reason):
        Address.parse(text)


def test_the_address_of_a_server_that_is_there_has_a_port() -> None:
    with pytest.raises(AddressError, match="port 0"):
        Address.parse_dialled("127.0.0.1:0")

    assert Address.parse_dialled("far.example:1", is_anywhere=True).target == "far.example:1"
