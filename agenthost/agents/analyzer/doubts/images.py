"""Doubts results about Dockerfiles: images whose tags name no versions, examples, checked downloads, users of bases."""

import re
from collections.abc import Callable, Mapping

from ...files import is_example
from ..results import Result

# Their tags name no versions.
_WITHOUT_TAGS = re.compile(r"(?i)^\s*FROM\s+(--\S+\s+)*[\"']?(gcr\.io/distroless/|cgr\.dev/chainguard/)")
_CHECK = re.compile(
    r"\b(?:sha\d*sum|md5sum|b2sum)\b[^\n|;&]*\s(?:-\w*c\w*|--check)\b|\bshasum\b[^\n|;&]*\s(?:-\w*c\w*|--check)\b"
    r"|\b(?:gpgv?2?\b[^\n|;&]*--verify|minisign\s+-\w*V|cosign\s+verify)"
)

# As their Dockerfiles stand in 2026: these set USER, and those step down in their entrypoint, which a Dockerfile may replace.
_SET_USER = frozenset(
    {
        *(
            "percona",
            "memcached",
            "mailhog",
            "elasticsearch",
            "kibana",
            "grafana",
            "haproxy",
            "sonarqube",
            "jenkins",
            "solr",
        ),
        *("prometheus", "keycloak", "nginx-unprivileged", "varnish"),
    }
)
_STEP_DOWN = frozenset(
    {
        *("postgres", "postgis", "pgvector", "timescaledb", "mongo", "mariadb", "mysql", "redis", "valkey", "rabbitmq"),
        *("cassandra", "couchdb", "neo4j", "zookeeper"),
    }
)
_FROM = re.compile(r"(?im)^FROM\s+(?:--\S+\s+)*[\"']?(?P<image>[^\s\"'@]+)\S*(?:\s+AS\s+(?P<stage>\S+))?")


def has_no_tags(result: Result, content: bytes) -> str:
    """Returns that an image's tags are no versions."""
    lines = content.decode(errors="replace").split("\n")[result.start_line - 1 : result.start_line]
    return "name images whose tags are no versions" if any(map(_WITHOUT_TAGS.match, lines)) else ""


def is_in_example(result: Result, content: bytes) -> str:  # noqa: ARG001 - as every look
    """Returns that a file is an example."""
    return "stand in examples" if is_example(result.path) else ""


def is_for_developers(result: Result, content: bytes) -> str:
    """Returns that a file is an example, or builds the place where its developers work, which is meant to be new."""
    is_theirs = result.path.startswith(".devcontainer/") or "/.devcontainer/" in result.path
    return "build the place where developers work" if is_theirs else is_in_example(result, content)


def has_user(result: Result, content: bytes) -> str:
    """Returns that a file is an example, or that its base image is known not to run as root."""
    source = content.decode(errors="replace")
    stages: dict[str, str] = {}
    base = ""
    for match in _FROM.finditer(source):
        base = stages.get(match["image"], match["image"].rpartition("/")[2].partition(":")[0].lower())
        stages[match["stage"] or ""] = base
    is_replaced = re.search(r"(?m)^ENTRYPOINT\b(?!.*docker-entrypoint)", source)
    if base in _SET_USER or (base in _STEP_DOWN and not is_replaced):
        return "begin with an image that gives up root"
    return is_in_example(result, content)


def is_checked(result: Result, content: bytes) -> str:
    """Returns that the instruction checks a hash or a signature, before the result's line or after it."""
    checked = _CHECK.search(_instruction(content.decode(errors="replace").split("\n"), result.start_line))
    return "stand beside a check of a hash or a signature" if checked else ""


def _instruction(lines: list[str], number: int) -> str:
    """Returns the instruction that a line belongs to, without comments. `number` counts from 1."""
    found: list[str] = []
    is_open = False
    for at, line in enumerate(lines, 1):
        if is_open and (not line.strip() or line.lstrip().startswith("#")):
            continue
        if not is_open:
            if at > number:
                break
            found.clear()
        found.append(line)
        is_open = line.rstrip().endswith("\\")
    return "\n".join(found)


LOOKS: Mapping[str, Callable[[Result, bytes], str]] = {
    "DL3006": has_no_tags,
    "DL3002": is_in_example,
    "DL3007": is_for_developers,
    "dockerfile-runs-as-root": has_user,
    "dockerfile-unchecked-download": is_checked,
}
KINDS: Mapping[str, Callable[[Result, bytes], str]] = {
    "dockerfile-image-past-its-end": lambda result, _: "example" if is_example(result.path) else "",
}
