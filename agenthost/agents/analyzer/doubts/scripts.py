"""Tells some results about shell scripts apart: what the shell itself refuses, and what does harm wherever it is read."""

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping

from ...files import is_tooling
from ..results import Result

PARSE_SECONDS = 5
MAX_COLUMNS = 200  # of a line that is looked at: many spaces take the third power of their number
_SHEBANG = re.compile(rb"#!\s*(?:/\S*/)?(?:env\s+)?(?P<shell>bash|dash|sh)(?:\s|$)")
# What a build fills in, and what only the newest bash reads.
_FILLED = re.compile(rb"\{\{|\{%|<%|@[A-Za-z_]+@|\$\{[ |]")
_CD = re.compile(r"\s*cd\s+(?P<folder>[^;&|]+?)\s*;?\s*(?:#.*)?$")
_STAYS = re.compile(
    r"^(?:-|--|\.\.(?:/\.\.)*/?|/|/tmp/?|~|\"?\$\{?HOME\}?\"?)$|dirname|BASH_SOURCE|pwd|PWD|mktemp|rev-parse|0%"
)
# What changes files of the folder that it happens to stand in.
_CHANGES = re.compile(
    r"\s*(?:sudo\s+)?(?:rm\s+(?:-\S+\s+)*[\w.*]|git\s+(?:clean|reset\s+--hard|push)\b|find\s+\.\s.*-delete"
    r"|chmod\s+(?:-\S+\s+)*[\w+=,]+\s+[\"']?[\w.*$]|mv\s+(?:-\S+\s+)*[\w.*])"
)
# A program at the end of a script, which gets what the script got.
_HANDED = re.compile(
    r"(?:exec\s+)?(?!echo\b|printf\b|for\b|set\b|eval\b|case\b)[\"']?[\w./$~{][^=;|]*\s\$(?:\*|@|\{[*@]\})\s*$"
)
# Busybox, and a shell that the script itself asks for.
_OTHER_SHELL = re.compile(rb"\bapk\s|alpine|busybox|openwrt|opkg|BASH_|\bKSH_VERSION|ZSH_", re.IGNORECASE)
OF_BASH = ("SC3006", "SC3010", "SC3011", "SC3020", "SC3024", "SC3030", "SC3040", "SC3054", "SC3057", "SC3059", "SC3060")


def _kind_of_unparsed(_: Result, content: bytes) -> str:
    """Returns that the shell of a script cannot read it either, which it is asked without running anything."""
    match = _SHEBANG.match(content)
    shell = {b"bash": "bash", b"dash": "dash", b"sh": "sh"}[match["shell"]] if match else ""
    program = shutil.which(shell, path="/usr/bin:/bin") if shell and not _FILLED.search(content) else None
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, "-n"], input=content, capture_output=True, timeout=PARSE_SECONDS, check=False, env={}
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return "refused" if done.returncode == 2 or (done.returncode == 1 and b"yntax error" in done.stderr) else ""


def _kind_of_cd(result: Result, content: bytes) -> str:
    lines = content.decode(errors="replace").split("\n")[max(result.start_line - 2, 0) :]
    before = lines.pop(0) if result.start_line > 1 else ""
    match = _CD.match(lines[0]) if lines and len(lines[0]) <= MAX_COLUMNS else None
    is_certain = match and (_STAYS.search(match["folder"]) or "mkdir" in before or "-d " in before)
    after = next((line for line in lines[1:] if line.strip() and not line.lstrip().startswith("#")), "")
    return "changes-files" if match and not is_certain and _CHANGES.match(after[:MAX_COLUMNS]) else ""


def _kind_of_arguments(result: Result, content: bytes) -> str:
    lines = content.decode(errors="replace").split("\n")
    here = lines[result.start_line - 1] if 0 < result.start_line <= len(lines) else ""
    return "handed-on" if _HANDED.match(here) else ""


def _kind_of_bash(result: Result, content: bytes) -> str:
    """Returns that developers run a script with the `sh` of their machines, which on Debian and Ubuntu is no bash."""
    match = _SHEBANG.match(content)
    is_sh = match is not None and match["shell"] == b"sh"
    return "by-developers" if is_sh and is_tooling(result.path) and not _OTHER_SHELL.search(content) else ""


def _is_cleaning(result: Result, content: bytes) -> str:
    """Returns that a recipe is of targets that clean up, where nothing that fails is missed."""
    lines = content.decode(errors="replace").split("\n")[: max(result.start_line - 1, 0)]
    target = next((line for line in reversed(lines) if line[:1] not in ("", "\t", " ", "#")), "")
    return "only clean up" if re.search(r"clean|uninstall", target.partition(":")[0]) else ""


LOOKS: Mapping[str, Callable[[Result, bytes], str]] = {"makefile-loop-hides-failure": _is_cleaning}
KINDS: Mapping[str, Callable[[Result, bytes], str]] = {
    "SC1072": _kind_of_unparsed,
    "SC2048": _kind_of_arguments,
    "SC2068": _kind_of_arguments,
    "SC2164": _kind_of_cd,
    **dict.fromkeys(OF_BASH, _kind_of_bash),
}
