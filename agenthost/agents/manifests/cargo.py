"""Finds settings of Cargo that count for nothing, and build scripts that do not see what changed."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..files import is_test, is_vendored
from ..reading.snapshot import SourceText
from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey
from .python import read_table, table

UNINHERITED = "lens:uninherited"
SLASH = "lens:slash-in-licence"
UNSEEN = "lens:unseen-variable"
# The folder of each manifest, with what it says.
Manifests = Mapping[str, tuple[SourceText, Mapping[str, Any]]]
_READS = re.compile(r"\benv::var(?:_os)?\(\s*\"(?P<name>[A-Z][A-Z0-9_]+)\"")
# Cargo sets some, and others are the same on each run of a machine.
_OWN = re.compile(
    r"CARGO|RUST|DEP_|(?:OUT_DIR|TARGET|HOST|NUM_JOBS|OPT_LEVEL|PROFILE|DEBUG|LD|PATH|HOME|USER|CI|DOCS_RS)$"
)


def find_in_cargo(survey: Survey) -> Iterator[Finding]:
    """Yields what the manifests and build scripts of packages say that does not count."""
    manifests = manifests_of(survey)
    for folder, (source, told) in manifests.items():
        yield from _uninherited(manifests, folder)
        licence = table(told, "package").get("license")
        if isinstance(licence, str) and re.search(r"\w/\w", licence):
            title = f"`{licence}` is an old form: write `OR`"
            yield sighting(SLASH, cite(source, line_of(source, "package", "license")), title)
        script = survey.snapshot.read(f"{folder}/build.rs".lstrip("/")) if "package" in told else None
        if script:
            yield from _unseen(script)


def manifests_of(survey: Survey) -> Manifests:
    """Returns the manifests of a snapshot that parse, by their folders."""
    found: dict[str, tuple[SourceText, Mapping[str, Any]]] = {}
    for path in survey.snapshot.paths:
        if f"/{path}".endswith("/Cargo.toml") and not (is_test(path) or is_vendored(path)):
            source = survey.snapshot.read(path)
            told = read_table(source)
            if source and told:
                found[path.rpartition("/")[0]] = (source, told)
    return found


def line_of(source: SourceText, heading: str, key: str) -> int:
    """Returns the line of a key below a heading, or of a heading that names the key; 0 where there is neither."""
    inside = ""
    for number, line in enumerate(source.lines, 1):
        if match := re.match(r"\s*\[+([^\]]+)\]", line):
            inside = match[1].replace('"', "").strip()
            if inside == f"{heading}.{key}":
                return number
        elif inside == heading and re.match(rf"\s*\"?{re.escape(key)}\"?\s*[.=]", line):
            return number
    return 0


def parent_of(folder: str, manifests: Manifests) -> str | None:
    """Returns the folder of the workspace that a package may be a member of; None where there is none."""
    roots = (root for root, (_, told) in manifests.items() if "workspace" in told)
    above = [root for root in roots if not root or f"{folder}/".startswith(f"{root}/")]
    return max(above, key=len, default=None)


def _uninherited(manifests: Manifests, folder: str) -> Iterator[Finding]:
    """Yields the tables of a workspace of which no member takes a thing. What releases read themselves is left out."""
    source, told = manifests[folder]
    workspace = table(told, "workspace")
    if any(".." in str(one) for one in workspace.get("members", [])):
        return
    members = [
        one for other, (_, one) in manifests.items() if parent_of(other, manifests) == folder and "package" in one
    ]
    if not members:
        return
    if workspace.get("lints") and not any(table(one, "lints").get("workspace") for one in members):
        number = next((at for at, line in enumerate(source.lines, 1) if line.startswith("[workspace.lints")), 0)
        yield sighting(UNINHERITED, cite(source, number) if number else None, "no member inherits [workspace.lints]")
    for key in table(workspace, "package"):
        number = line_of(source, "workspace.package", key)
        if number and key != "version" and not any(table(one, "package", key).get("workspace") for one in members):
            title = f"no member inherits `{key}` of [workspace.package]"
            yield sighting(UNINHERITED, cite(source, number), title)


def _unseen(script: SourceText) -> Iterator[Finding]:
    """Yields each variable that a build script reads, where a change of it does not make Cargo run the script."""
    if re.search(r"rerun-if-env-changed=\s*[{\"]", script.text):  # computed
        return
    seen: set[str] = set()
    for number, line in enumerate(script.lines, 1):
        match = None if line.lstrip().startswith("//") else _READS.search(line)
        name = match["name"] if match else ""
        if name and not _OWN.match(name) and name not in seen and f"rerun-if-env-changed={name}" not in script.text:
            seen.add(name)
            yield sighting(UNSEEN, cite(script, number), f"a change of `{name}` does not run {script.path} again")
