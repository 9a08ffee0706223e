"""Doubts results about Dockerfiles and downloads: images without versions, examples, what the next command checks."""

import re
from collections.abc import Callable, Mapping

from ...files import is_example
from ..results import Result
from .places import is_for_developers

MAX_LINES_BEHIND = 4  # of a download, where it is opened
# Their tags name no versions.
_WITHOUT_TAGS = re.compile(r"(?i)^\s*FROM\s+(--\S+\s+)*[\"']?(gcr\.io/distroless/|cgr\.dev/chainguard/)")
# A place where developers work, and an organization's own image, whose label names it.
_WORKSPACE = re.compile(
    r"(?i)^\s*FROM\s+(--\S+\s+)*[\"']?(gitpod/|mcr\.microsoft\.com/(vscode/)?devcontainers/|codercom/|\S*/devcontainer\b)"
)
_NAMESPACE = re.compile(r"(?i)^\s*FROM\s+(?:--\S+\s+)*[\"']?(?:[\w-]+(?:\.[\w-]+)+/)?(?P<name>[\w-]{3,})/")
_OWNER = r"(?im)^\s*(?:LABEL\s+)?(?:maintainer|org\.opencontainers\.image\.(?:vendor|source|url|authors))=[^\n]*\b{}\b"
_STOPS = re.compile(r"(?m)^#!.*\s-\w*e|^\s*set\s+(-\w+\s+)*-\w*e|errexit")
_OPENS = re.compile(r"^\s*(?:sudo\s+)?(?:tar|unzip|gunzip|gzip|unxz|xz|bunzip2|zstd|7z|dpkg|rpm|apt-get install|jq)\s")
_FALLBACK = re.compile(
    r"(?:\[{1,2}\s+-[efxs]\s|\btest\s+-[efxs]\s|command\s+-v\s|\bwhich\s)[^\n]*\|\|\s*\(?\s*(?:curl|wget)\b"
)
_CHECK = re.compile(
    r"\b(?:sha\d*sum|md5sum|b2sum)\b[^\n|;&]*\s(?:-\w*c\w*|--check)\b|\bshasum\b[^\n|;&]*\s(?:-\w*c\w*|--check)\b"
    r"|\b(?:gpgv?2?\b[^\n|;&]*--verify|minisign\s+-\w*V|cosign\s+verify)"
)


def has_no_tags(result: Result, content: bytes) -> str:
    """Returns that an image's tags are no versions, or that it is meant to be the newest."""
    is_without = _WITHOUT_TAGS.match(_line(result, content))
    return "name images whose tags are no versions" if is_without else is_newest(result, content)


def is_newest(result: Result, content: bytes) -> str:
    """Returns that an image is for developers, or one that the same organization makes."""
    line = _line(result, content)
    if _WORKSPACE.match(line):
        return "build the place where developers work"
    match = _NAMESPACE.match(line)
    is_own = match and re.search(_OWNER.format(re.escape(match["name"])), content.decode(errors="replace"))
    return "take an image of the same organization" if is_own else is_for_developers(result)


def is_opened(result: Result, content: bytes) -> str:
    """Returns that a download is checked, or that the script ends at the next command, which cannot open an error's page."""
    source = content.decode(errors="replace")
    lines = source.split("\n")
    if not result.path.endswith("Dockerfile") and _STOPS.search(source):
        name = re.search(r"(?:\s-\w*o\s*|\s--output[ =])[\"']?(\S+?)[\"']?(?:\s|$)", _line(result, content))
        name = name or re.search(r"/([^/\s\"'?]+)[\"']?(?:\s|$)", _line(result, content))
        after = lines[result.start_line : result.start_line + MAX_LINES_BEHIND]
        if name and any(_OPENS.match(line) and name[1] in line and "||" not in line for line in after):
            return "are opened by the next command, which ends the script where it is no archive"
    return is_checked(result, content)


def is_fallback(result: Result, content: bytes) -> str:
    """Returns that a script is only taken from the network where a file of the image is missing."""
    return "stand behind a check that the file is there" if _FALLBACK.search(_line(result, content)) else ""


def _line(result: Result, content: bytes) -> str:
    return "".join(content.decode(errors="replace").split("\n")[result.start_line - 1 : result.start_line])


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
    "DL3007": is_newest,
    "dockerfile-unchecked-download": is_checked,
    "shell-keeps-error-page": is_opened,
    "shell-pipes-download": is_fallback,
}
KINDS: Mapping[str, Callable[[Result, bytes], str]] = {
    "dockerfile-image-past-its-end": lambda result, _: "example" if is_example(result.path) else "",
}
