"""The files of an end of TLS: they fit together, are bounded, and keep their key to themselves. Keeps K3."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from servicekit.tls.files import TlsError, TlsFiles, TlsFolder, read_bounded, write_whole
from tests.servicekit.tls.pools import ALPHA, CA, issued

ONE, TWO = issued(ALPHA), issued(ALPHA)


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    made = TlsFolder.of(tmp_path).serving("agenthost join FILE")
    TlsFolder.of(tmp_path).prepare()
    for path, data in ((made.ca, CA.certificate_pem), (made.certificate, ONE.certificate), (made.key, ONE.key)):
        write_whole(path, data)
    return made


def test_files_that_fit_together_are_read(files: TlsFiles) -> None:
    material = files.checked()

    assert (material.ca, material.certificate, material.key) == (CA.certificate_pem, ONE.certificate, ONE.key)


@pytest.mark.parametrize("written", range(5))
@pytest.mark.parametrize("is_cut_before", [False, True])
def test_a_renewal_that_is_cut_anywhere_leaves_a_pair_that_fits(
    files: TlsFiles, monkeypatch: pytest.MonkeyPatch, written: int, *, is_cut_before: bool
) -> None:
    if is_cut_before:  # after all of it but the last step
        write_whole(files.next_key, TWO.key)
        write_whole(files.certificate, TWO.certificate)
    before = files.checked()
    three, places = issued(ALPHA), iter(range(5))

    def cut(path: Path, place: Path) -> None:
        if next(places) == written:
            raise OSError(28, "No space left on device")
        path.rename(place)

    monkeypatch.setattr(Path, "replace", cut)
    with suppress(TlsError):
        files.replace_pair(three.key, three.certificate)

    found, is_new = files.checked(), written >= 2 + is_cut_before
    assert (found.key, found.certificate) == (
        (three.key, three.certificate) if is_new else (before.key, before.certificate)
    )


SPOILT: list[tuple[Callable[[TlsFiles], object], str, str]] = [
    (lambda files: files.key.unlink(), "server-key.pem cannot be read: No such file", "agenthost join FILE"),
    (lambda files: files.key.write_bytes(TWO.key), "is not the key of the certificate in", "agenthost join FILE"),
    (lambda files: files.key.write_bytes(b"x"), "server-key.pem cannot be used: it holds no private key", "agenthost"),
    (
        lambda files: files.certificate.write_bytes(b"\xff\x00"),
        "server.pem cannot be used: it holds no cert",
        "agenthost",
    ),
    (lambda files: files.ca.write_bytes(ONE.certificate), "ca.pem holds no certificate of a CA", "agenthost join"),
    (lambda files: files.ca.write_bytes(b"a" * 300_000), "ca.pem has more than 256 KiB", "agenthost join FILE"),
    (lambda files: files.ca.write_bytes(CA.certificate_pem * 9), "ca.pem cannot be used: it holds 9", "agenthost"),
    (lambda files: files.key.chmod(0o604), "other users can read the key", "chmod 600"),
    (lambda files: files.ca.chmod(0o646), "other users can write .*ca.pem", "chmod 644"),
]


@pytest.mark.parametrize(("spoil", "why", "mend"), SPOILT)
def test_files_that_cannot_be_used_are_named_with_the_command_that_mends_them(
    files: TlsFiles, spoil: Callable[[TlsFiles], object], why: str, mend: str
) -> None:
    spoil(files)

    with pytest.raises(TlsError, match=why) as refused:
        files.checked()
    assert mend in refused.value.hint


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(TlsError, match="is not a file"):
        read_bounded(tmp_path / "pipe")


def test_a_file_is_replaced_whole_or_keeps_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key.pem"
    write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TlsError, match="No space left on device"):
        write_whole(path, b"new")

    assert [each.name for each in tmp_path.iterdir()] == ["key.pem"]
    assert path.read_bytes() == b"old"
