"""Announced hosts, and announcements that are none: every text comes from strangers. Keeps K13."""

import asyncio
import json

import pytest

from conductor.cli.commands.pool.discovery import announced_lines
from conductor.cli.main import main
from servicekit.discovery.announcement import SERVICE, Announcement, read_announcement, write_texts
from servicekit.discovery.publishing import announcing

PRINT = "ab" * 32
HERE = ["127.0.0.1"]


@pytest.mark.parametrize(
    ("instance", "addresses", "port", "texts", "found"),
    [
        ("alpha", ["10.0.0.5", "fd00::5"], 7420, {b"pool": b"office", b"sha256": PRINT.encode(), b"version": b"0.1.0"},
         Announcement("alpha", ("10.0.0.5:7420", "[fd00::5]:7420"), "office", PRINT, "0.1.0")),
        ("alpha", HERE, 7420, {}, Announcement("alpha", ("127.0.0.1:7420",))),
        ("alpha", HERE, 7420, {b"pool": None, b"sha256": b"AB" * 32, b"version": b"1 \x1b[31m"},
         Announcement("alpha", ("127.0.0.1:7420",))),
        ("alpha", HERE, 7420, {b"pool": b"office\n", b"sha256": b"\xff" * 64}, Announcement("alpha", ("127.0.0.1:7420",))),
        ("alpha", ["fe80::1%lo", "x", "10.0.0.5"], 1, {}, Announcement("alpha", ("10.0.0.5:1",))),
        ("al\x1b[2Jpha", HERE, 7420, {}, None),
        ("a" * 41, HERE, 7420, {}, None),
        ("--force", HERE, 7420, {}, None),
        ("alpha", [], 7420, {}, None),
        ("alpha", HERE, 0, {}, None),
        ("alpha", HERE, 70_000, {}, None),
        ("alpha", HERE, None, {}, None),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_left_out(
    instance: str, addresses: list[str], port: int | None, texts: dict[bytes, bytes | None], found: Announcement | None
) -> None:
    assert read_announcement(f"{instance}.{SERVICE}", addresses, port, texts) == found


def test_an_announced_host_is_told_with_the_command_that_adds_it() -> None:
    many = read_announcement(f"alpha.{SERVICE}", [f"10.0.0.{n}" for n in range(200)], 7420, {})
    told = announced_lines(Announcement("alpha", ("10.0.0.5:7420",), "office", PRINT))

    assert many is not None
    assert len(many.addresses) == 8
    assert told == [
        "alpha         10.0.0.5:7420  pool office",
        f"    certificate {PRINT}",
        "    add it:  conductor hosts add alpha 10.0.0.5:7420",
    ]


async def test_a_host_that_announces_itself_is_found_on_the_network(capfd: pytest.CaptureFixture[str]) -> None:
    """Over this machine's loopback; another name of the network comes through as it is read."""
    async with (
        announcing("alpha", "127.0.0.1:7420", write_texts("office", PRINT, "0.1.0")),
        announcing("Not A Host", "127.0.0.1:7421", {"pool": "x" * 200}),
    ):
        arguments = ["--output", "json", "hosts", "discover", "--seconds", "1.5", "--interface", *HERE]
        code = await asyncio.to_thread(main, arguments)

    assert code == 0
    (line,) = (line for line in capfd.readouterr().out.splitlines() if line.startswith("{"))  # beside a log
    assert json.loads(line) == {
        "name": "alpha",
        "addresses": ["127.0.0.1:7420"],
        "pool": "office",
        "fingerprint": PRINT,
        "version": "0.1.0",
    }
