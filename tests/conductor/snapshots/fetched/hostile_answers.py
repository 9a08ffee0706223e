"""What a hostile server of git answers, and what the caller is told of it."""

import os
import time

from tests.kit.git_server import ADVERTISEMENT, Handler, Hostile, banded, line, only, says
from tests.kit.packs import crafted


def refs(*lines: bytes) -> bytes:
    """Returns a list of names as a server sends it."""
    return b"".join(map(line, lines)) + b"0000"


def endless(handler: Handler) -> bool:
    says(handler, line(b"packfile\n"))
    piece = line(b"\x01" + os.urandom(60_000))
    while True:
        handler.wfile.write(piece)


def dripping(handler: Handler) -> bool:
    says(handler, line(b"packfile\n"))
    while True:
        handler.wfile.write(line(b"\x02."))
        time.sleep(0.05)


def listing(handler: Handler) -> bool:
    says(handler, b"")
    names = b"".join(line(b"%040x refs/heads/main%d\n" % (number, number)) for number in range(1000))
    while True:
        handler.wfile.write(names)


OID = "a" * 40
V2 = line(b"# service=git-upload-pack\n") + b"0000" + line(b"version 2\n")


# Each: what the server does, the revision that is asked for, and what the caller is told.
HOSTILE: dict[str, tuple[Hostile, str, str]] = {
    "redirect": (
        only(b"", lambda h: says(h, b"", status=302, Location="https://127.0.0.1/else?token=1")),
        "",
        "redirects to https://127.0.0.1/else (302), which is not followed",
    ),
    "redirect of the pack": (only(b"fetch", lambda h: says(h, b"", status=307)), "", "redirects (307)"),
    "login": (only(b"", lambda h: says(h, b"", status=401)), "", "asks who we are (401)"),
    "forbidden": (only(b"", lambda h: says(h, b"", status=403)), "", "forbids reading the repository (403)"),
    "none": (only(b"", lambda h: says(h, b"", status=404)), "", "has no such repository, or hides it (404)"),
    "trouble": (only(b"", lambda h: says(h, b"", status=500)), "", "answers with the status 500"),
    "page": (only(b"", lambda h: says(h, b"<p>", "text/html; charset=utf-8")), "", "answers with text/html, not as"),
    "old": (only(b"", lambda h: says(h, refs(b"%a HEAD\n"), ADVERTISEMENT)), "", "does not speak version 2"),
    "sha256": (
        only(b"", lambda h: says(h, V2 + refs(b"fetch=shallow\n", b"object-format=sha256\n"), ADVERTISEMENT)),
        "",
        "SHA-256 names",
    ),
    "no shallow": (
        only(b"", lambda h: says(h, V2 + refs(b"fetch=filter\n"), ADVERTISEMENT)),
        "",
        "a part of the history",
    ),
    "cut list": (only(b"", lambda h: says(h, V2, ADVERTISEMENT)), "", "ended its list too early"),
    "no lengths": (only(b"ls-refs", lambda h: says(h, b"-001abc")), "", "sent a line without its length"),
    "cut line": (only(b"ls-refs", lambda h: says(h, b"00ffabc")), "", "in the middle of a line"),
    "zipped": (only(b"ls-refs", lambda h: says(h, b"x", Content_Encoding="gzip")), "", "compressed its answer"),
    "huge list": (only(b"ls-refs", listing), "", "lists more than 1 MiB of names"),
    "refusal": (only(b"fetch", lambda h: says(h, line(b"ERR go\x1b[31m away\n"))), "", "refused: go?[31m away"),
    "no pack": (only(b"fetch", lambda h: says(h, refs(b"shallow-info\n"))), "", "sent no pack"),
    "bad shallow": (only(b"fetch", lambda h: says(h, line(b"shallow ../x\n"))), "", "shallow commits that is none"),
    "failure": (
        only(b"fetch", lambda h: says(h, line(b"packfile\n") + line(b"\x03out of memory"))),
        "",
        "failed while it sent",
    ),
    "band": (only(b"fetch", lambda h: says(h, line(b"packfile\n") + line(b"\x09x"))), "", "on an unknown band"),
    "cut pack": (only(b"fetch", lambda h: says(h, banded(b"PACK")[:-4])), "", "before the pack was whole"),
    "no git pack": (only(b"fetch", lambda h: says(h, banded(b"PACK\0\0\0\x09"))), "", "the pack is refused"),
    "endless": (only(b"fetch", endless), "", "larger than fetch.max_bytes allows"),
    "drip": (only(b"fetch", dripping), "", "takes longer than 1 s"),
    "unasked": (only(b"fetch", lambda h: says(h, banded(crafted()[1]))), OID, f"does not hold {OID}"),
    "unknown commit": (lambda _handler, _body: False, OID, "refused: upload-pack: not our ref"),
}
