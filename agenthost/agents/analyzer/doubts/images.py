"""Doubts results about Dockerfiles: images whose tags name no versions, examples, checked downloads."""

import re
from collections.abc import Callable, Mapping

from ...files import is_example
from ..results import Result
from .places import is_for_developers

# Their tags name no versions.
_WITHOUT_TAGS = re.compile(r"(?i)^\s*FROM\s+(--\S+\s+)*[\"']?(gcr\.io/distroless/|cgr\.dev/chainguard/)")
_CHECK = re.compile(
    r"\b(?:sha\d*sum|md5sum|b2sum)\b[^\n|;&]*\s(?:-\w*c\w*|--check)\b|\bshasum\b[^\n|;&]*\s(?:-\w*c\w*|--check)\b"
    r"|\b(?:gpgv?2?\b[^\n|;&]*--verify|minisign\s+-\w*V|cosign\s+verify)"
)


def has_no_tags(result: Result, content: bytes) -> str:
    """Returns that an image's tags are no versions, or that the file is for developers."""
    lines = content.decode(errors="replace").split("\n")[result.start_line - 1 : result.start_line]
    is_without = any(map(_WITHOUT_TAGS.match, lines))
    return "name images whose tags are no versions" if is_without else is_for_developers(result)


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
    "dockerfile-unchecked-download": is_checked,
    "shell-keeps-error-page": is_checked,
}
KINDS: Mapping[str, Callable[[Result, bytes], str]] = {
    "dockerfile-image-past-its-end": lambda result, _: "example" if is_example(result.path) else "",
}
