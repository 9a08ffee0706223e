"""The settings of TLS of both services: `--tls-cert --tls-key --tls-ca`, `[tls] cert, key, ca`, or what is in the data folder.

TLS serves wherever there are certificates, on loopback too. A unix socket is never served by TLS: its file's mode keeps others out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servicekit.addresses import Address
from servicekit.errors import shown, there_are
from servicekit.tls.files import TlsFiles, TlsFolder

KEYS = ("cert", "key", "ca")


class TlsSettingError(ValueError):
    """A setting of TLS is wrong; the text says which one."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The files that a service serves with, and those that a conductor dials hosts with; None where there are none."""

    serving: TlsFiles | None = None
    calling: TlsFiles | None = None

    def serves(self, address: Address) -> bool:
        """Returns whether TLS serves at an address."""
        return self.serving is not None and address.socket is None

    def check(self) -> None:
        """Raises TlsError where files cannot be used: before a service makes anything."""
        for files in dict.fromkeys((self.serving, self.calling)):
            if files is not None:
                files.checked()


def read_tls(table: Any, flags: Mapping[str, Path | None], data: Path) -> TlsSettings:
    """Reads the settings, of which a flag comes before its key in the file; raises TlsSettingError.

    `flags` has the paths by the names of KEYS. Certificates that the operator names serve both purposes.
    """
    if not isinstance(table, Mapping):
        raise TlsSettingError(f"tls is {shown(table)}: it must be a table, as [tls]")
    if unknown := sorted(set(table) - set(KEYS)):
        raise TlsSettingError(f"there is no setting 'tls.{unknown[0]}'{there_are(unknown[0], KEYS)}")
    given = {key: _path(key, flags.get(key) or table.get(key)) for key in KEYS}
    paths = {key: path for key, path in given.items() if path is not None}
    if not paths:
        return _in_folder(TlsFolder.of(data))
    if lacking := [key for key in KEYS if key not in paths]:
        flag = ", ".join(f"--tls-{key}" for key in lacking)
        raise TlsSettingError(f"{flag} is not given: TLS needs --tls-cert, --tls-key and --tls-ca, or none of them")
    files = TlsFiles(paths["ca"], paths["cert"], paths["key"], "name other files:  --tls-cert, --tls-key, --tls-ca")
    return TlsSettings(files, files)


def _in_folder(folder: TlsFolder) -> TlsSettings:
    serving, calling = folder.serving(_AGAIN), folder.calling(_AGAIN)
    return TlsSettings(
        serving if serving.certificate.exists() else None, calling if calling.certificate.exists() else None
    )


_AGAIN = "make it again:  conductor certs renew --data DIR, or on a host:  agenthost join FILE --data DIR"


def _path(key: str, given: object) -> Path | None:
    if given in (None, ""):
        return None
    if not isinstance(given, str | Path) or "\0" in str(given):
        raise TlsSettingError(f"tls.{key} is {shown(given)}: it must be the path of a file")
    try:
        return Path(given).expanduser().absolute()
    except RuntimeError as error:
        raise TlsSettingError(f"tls.{key} is {shown(str(given))}, and there is no such home folder") from error
