"""Announces a host on its network where the operator asks for it: with its pool and the fingerprint of its certificate."""

import contextlib
import hashlib
import ssl
from contextlib import AbstractAsyncContextManager

from agenthost.config import Settings
from agenthost.errors import ConfigurationError
from servicekit.addresses import Address
from servicekit.discovery.announcement import write_texts
from servicekit.release import release_number
from servicekit.tls.identity import is_name


def announcing(settings: Settings, target: str) -> AbstractAsyncContextManager[None]:
    """Announces the host that serves at an address; nothing where it is not asked for. Raises ConfigurationError."""
    if not settings.announce:
        return contextlib.nullcontext()
    address = Address.parse(target, is_anywhere=True)
    if address.socket is not None:
        raise ConfigurationError(f"--announce: no other machine reaches {target}: listen at HOST:PORT to be announced")
    if not is_name(settings.name):
        raise ConfigurationError(
            f"--announce: no conductor takes a host called '{settings.name}': use a-z, 0-9 and '-', at most 40 characters"
        )
    try:
        from servicekit.discovery import publishing  # noqa: PLC0415 (it needs a library that is an extra)
    except ImportError as error:
        raise ConfigurationError(
            "--announce needs the library zeroconf", hint="pip install 'conductor-agenthost[discovery]'"
        ) from error
    pool, fingerprint = _certificate(settings, address)
    return publishing.announcing(settings.name, address.text, write_texts(pool, fingerprint, release_number()))


def _certificate(settings: Settings, address: Address) -> tuple[str, str]:
    """Returns the pool and the fingerprint of the certificate that the host serves with; empty where it has none."""
    if settings.tls.serving is None or not settings.tls.serves(address):
        return "", ""
    from servicekit.tls.certificates import read_facts  # noqa: PLC0415 (as above)

    pem = settings.tls.serving.certificate.read_bytes()
    identity = read_facts(pem).identity
    first = ssl.PEM_cert_to_DER_cert(pem[: pem.index(b"-----END") + len("-----END CERTIFICATE-----")].decode())
    return identity.pool if identity is not None else "", hashlib.sha256(first).hexdigest()
