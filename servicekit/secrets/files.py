"""Judges whether a file looks like a secret: by the names that tools give to keys and passwords, and by what it holds.

A guess, made before a file leaves a machine. It errs on the side of withholding, because its user is told each name, and can say
that the file is no secret.
"""

import re
from pathlib import PurePosixPath

from servicekit.secrets.mask import find_secret

# What is longer is looked through for private keys only: a long text takes a second for each 30 MiB.
MAX_SCANNED_BYTES = 1024 * 1024
BINARY_BYTES = 8192  # at the beginning; git looks there for a NUL, too

_NAMES = frozenset(
    """
    .env .envrc .netrc _netrc .pgpass .my.cnf .htpasswd .git-credentials .dockercfg .dockerconfigjson .vault-token .pypirc .boto
    .s3cfg .terraformrc master.key kubeconfig credentials.json client_secret.json service-account.json secrets.yaml secrets.yml
    secrets.json secrets.toml .secrets
    """.split()  # noqa: SIM905 - thirty lines otherwise
)
_KEY_NAME = re.compile(r"id_(rsa|dsa|ecdsa|ed25519)(_sk)?")
_ENDS = frozenset({".p12", ".pfx", ".jks", ".keystore", ".kdb", ".kdbx", ".ppk", ".pkcs12", ".age-key", ".env"})
_PLACES = (".aws/credentials", ".docker/config.json", ".kube/config", ".config/gcloud/")
_HARMLESS_IN_SSH = frozenset({"config", "known_hosts", "authorized_keys"})
# Files for others to copy: they hold no value, or are judged by what they hold.
_PATTERNS = frozenset({"example", "sample", "template", "dist", "defaults", "schema"})
_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY(?: BLOCK)?-----")


def why_secret_name(path: bytes) -> str:
    """Returns why the name of a file is that of a secret; empty where it is not."""
    text = path.decode("utf-8", "replace").lower()
    name = PurePosixPath(text).name
    words = name.split(".")
    if _PATTERNS & set(words):
        return ""
    is_named = name in _NAMES or _KEY_NAME.fullmatch(name) or PurePosixPath(name).suffix in _ENDS
    if is_named or name.startswith(".env."):
        return "its name"
    if any(f"/{place}" in f"/{text}" for place in _PLACES):
        return "its name"
    if "/.ssh/" in f"/{text}" and name not in _HARMLESS_IN_SSH and not name.endswith(".pub"):
        return "its place in .ssh"
    return ""


def why_secret(path: bytes, data: bytes) -> str:
    """Returns why a file looks like a secret, by its name or by what it holds; empty where it does not."""
    if why := why_secret_name(path):
        return why
    if _PRIVATE_KEY.search(data):
        return "a private key in it"
    if len(data) > MAX_SCANNED_BYTES or b"\0" in data[:BINARY_BYTES]:
        return ""
    found = find_secret(data.decode("latin-1"))
    return f"{found} in it" if found else ""
