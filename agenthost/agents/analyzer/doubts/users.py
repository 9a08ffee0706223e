"""Doubts that an image runs as root: where its entry point, its base image or a later line goes back to a user, or may do so."""

import re
from collections.abc import Iterator

from ..narrowing.repository import Repository
from ..results import Result

MAX_STAGES = 100
MAX_SCRIPTS = 20  # that an entry point names
_FROM = re.compile(r"(?im)^\s*FROM\s+(?:--\S+\s+)*(?P<image>\S+)(?:\s+AS\s+(?P<name>\S+))?")
_USER = re.compile(r"(?im)^\s*USER\s+[\"']?(?!(?:root|0)(?:[:\"'\s]|$))\S")
_START = re.compile(r"(?im)^\s*(?:ENTRYPOINT|CMD)\b(?:[^\n]*\\\n)*[^\n]*")
_ENTRY = re.compile(r"(?im)^\s*ENTRYPOINT\b")
_STEPS_DOWN = re.compile(
    r"\b(?:gosu|su-exec|setpriv|s6-\w+|s6_\w+|chpst|runuser|setuidgid|capsh|start-stop-daemon|privdrop)\b"
    r"|\bsudo\s+(?:-\w+\s+)*-\w*u\b|\bsu\s+(?:-\S*\s+)*[\w$\"{}-]+\s+.*-c\b|\bsu\s+(?:-\S+\s+)*-c\b|\bexec\s+su\b"
)
# These begin as root, and give their workers a user of their own.
_OWN_WAY = re.compile(
    r"(?<![\w-])(?:supervisord|nginx|apache2\w*|apachectl|httpd\S*|sshd|crond?|postfix|dovecot|systemd|dockerd|php-fpm[\d.]*|haproxy"
    r"|named|unbound|dnsmasq|squid|rsyslogd|openvpn|wg-quick|keepalived|runsvdir)(?![\w-])|/s?bin/init\b|[\"\s]/init\b"
)
_BASES = re.compile(
    r"(?i)linuxserver|phusion/|baseimage|\bs6\b|just-containers|jlesage|hassio|home-assistant|serversideup"
    r"|(?:^|/)(?:postgres|postgis|timescaledb|mysql|mariadb|mongo|redis|valkey|rabbitmq|memcached|nginx|httpd|haproxy|ghost|wordpress"
    r"|nextcloud|vault|consul)(?:[:@]|$)|(?:^|/)php:\S*(?:apache|fpm)"
)
_SCRIPT = re.compile(r"(?i)(?:^|/)[\w.-]*(?:entry-?point|init|start|run|boot)[\w.-]*$|\.sh$")
_MEANT = re.compile(r"(?i)^\s*#.*(?:\bdrop|steps? down|privileg|entry-?point|(?:need|require|must|run)\w*\b.*\broot\b)")


def why_not(result: Result, content: bytes, here: Repository) -> str:
    """Returns why the image may run as a user after all, or is not for use."""
    source = content.decode(errors="replace")
    lines = source.split("\n")
    at = sum(len(line) + 1 for line in lines[: max(result.start_line - 1, 0)])
    if _FROM.search(source, at):
        return "stand in a stage before the last"
    above = lines[max(result.start_line - 2, 0) : max(result.start_line - 1, 0)]
    if any(map(_MEANT.match, above)):
        return "a comment gives a reason for"
    stages = list(_chain(source))
    if _USER.search(source, at) or any(_STEPS_DOWN.search(stage) for stage, _ in stages):
        return "go back to a user"
    starts = next((found for stage, _ in stages if (found := _START.findall(stage))), [])
    is_own = any(_ENTRY.search(stage) for stage, _ in stages)
    if not is_own and any(_BASES.search(image) for _, image in stages):
        return "have the entry point of a base image that goes back to a user"
    told = "\n".join(starts)
    is_down = _OWN_WAY.search(told) or any(_may_step_down(name, here) for name in _scripts(told))
    return "have an entry point that goes back to a user, or may do so" if is_down else ""


def _chain(source: str) -> Iterator[tuple[str, str]]:
    """Yields the last stage and those that it begins with, each with its image."""
    heads = list(_FROM.finditer(source))[:MAX_STAGES]
    ends = [*(head.start() for head in heads[1:]), len(source)]
    stages = [
        (head["name"] or "", head["image"], source[head.end() : end]) for head, end in zip(heads, ends, strict=True)
    ]
    wanted: str | None = None
    for name, image, text in reversed(stages):
        if wanted is None or name.lower() == wanted:
            yield text, image
            wanted = image.lower()


def _scripts(started: str) -> list[str]:
    return [word for word in re.findall(r"[\w./-]+", started) if _SCRIPT.search(word)][:MAX_SCRIPTS]


def _may_step_down(name: str, here: Repository) -> bool:
    """Returns whether a script goes back to a user; also of one that the repository does not have."""
    texts = [here.read(path) for path in here.find([name.rpartition("/")[2]])]
    return not texts or any(_STEPS_DOWN.search(text) or _OWN_WAY.search(text) for text in texts)
