"""Every command of docs/certificates.md works as it stands, in its order. Keeps K3 and K5."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

import agenthost.cli
import conductor.cli
from conductor.cli.commands.certs.group import certs
from servicekit.tls.certificates import facts_of, read_certificates
from servicekit.tls.files import TlsFolder
from servicekit.tls.revocations import RevocationFile
from tests.docs.pages import page

PAGE = page("certificates")


PROGRAMS: dict[str, Callable[[list[str]], int]] = {
    "conductor": conductor.cli.main,
    "agenthost": agenthost.cli.main,
    "rm": lambda words: Path(*words).unlink() or 0,
}


def test_every_command_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for line in "".join(PAGE.blocks("sh certificates")).splitlines():
        program, *words = shlex.split(line)
        assert PROGRAMS[program](words) == 0, line

    first, host, attic = (TlsFolder.of(tmp_path / name) for name in ("conductor", "host", "attic"))
    assert first.serving().checked().ca == attic.calling().checked().ca
    assert host.serving().checked().ca.startswith(first.serving().checked().ca), "it drops the former CA with the list"
    assert len(RevocationFile.of(first).read().serials) == 2, "ann's certificate, and the former CA"
    assert facts_of(read_certificates(host.serving().read().certificate)[0]).names == ("alpha.home.host.invalid",)


def test_the_page_shows_every_command_and_every_file() -> None:
    assert [name for name in certs.commands if f"certs {name}" not in PAGE.text] == []
    named = {part.strip("`") for row in PAGE.table("Files") for part in row[0].split(", ")}
    folder = TlsFolder(Path())
    files = [folder.ca, folder.ca_key, folder.issued, folder.revoked, folder.pool]
    ends = [path for end in (folder.serving(), folder.calling()) for path in (end.certificate, end.key)]
    assert named == {path.name for path in (*files, *ends)}
