"""Finds crates that a package of Rust depends on, and that none of its sources names.

A crate that may be there for its features, for a macro of another, or for a build is left out.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey
from .cargo import Manifests, line_of, manifests_of
from .python import table

UNUSED = "lens:unused-crate"
# What macros of other crates write into a package names these.
_EXPANDED = frozenset(
    """
    anyhow async-trait bytes defmt futures getrandom inventory js-sys lazy_static link-cplusplus log num num-traits once_cell
    openssl paste phf prost prost-types pyo3 scale-info serde static_assertions strum thiserror tokio tonic tracing wasm-bindgen
    zerocopy
    """.split()  # noqa: SIM905 - a word each is easier to read
)
_MEANT = re.compile(
    r"(?i)#.*\b(minimal|transitive|version|unused|not used|need|require|pin|feature|link|cve|ignore|only for)"
)
_BUILT = re.compile(r"\binclude!\s*[({\[]|include_proto!|#\[path\s*=\s*\"\.\.|OUT_DIR")
_COMMENT = re.compile(r"(?m)^[^\S\n]*//(?![/!]).*$")


def find_unused_crates(survey: Survey) -> Iterator[Finding]:
    """Yields each dependency of a package that its sources do not name."""
    manifests = manifests_of(survey)
    libraries = {
        str(table(told, "package").get("name")): str(name)
        for _, told in manifests.values()
        if (name := table(told, "lib").get("name"))
    }
    shared = " ".join(_ignored(told, "workspace") for _, told in manifests.values())
    for folder, (source, told) in manifests.items():
        text = _text_of(survey, folder, manifests) if table(told, "dependencies") and "package" in told else ""
        ignored = shared + _ignored(told, "package") + str(told.get("features"))
        for name, wanted in table(told, "dependencies").items() if text else ():
            number = line_of(source, "dependencies", name)
            near = "\n".join(source.lines[max(number - 2, 0) : number])
            is_meant = _is_meant(name, wanted) or _MEANT.search(near) or re.search(rf"'{re.escape(name)}['?/]", ignored)
            forms = _forms(name) | {libraries.get(_package(name, wanted), name)}
            is_named = re.search(rf"(?i)\b(?:r#)?(?:{'|'.join(map(re.escape, forms))})\b", text)
            if number and not (is_meant or is_named or _is_renamed(name, told, text)):
                yield sighting(UNUSED, cite(source, number), f"no source of the package names `{name}`")


def _ignored(told: Mapping[str, Any], kind: str) -> str:
    """Returns what tools that look for unused crates are told to pass over."""
    metadata = table(told, kind, "metadata")
    return str([metadata.get(tool) for tool in ("cargo-machete", "cargo-udeps", "cargo-shear")])


def _is_renamed(name: str, told: Mapping[str, Any], text: str) -> bool:
    """Returns whether sources use a crate that is not declared, and whose name is a part of this one, as of a fork."""
    parts = re.split(r"[-_]", name)
    some = {"_".join(part) for count in range(1, len(parts)) for part in (parts[:count], parts[count:])}
    declared = {one.replace("-", "_") for key in told for one in table(told, key) if key.endswith("dependencies")}
    return any(re.search(rf"\b{re.escape(one)}::", text) for one in some - declared)


def _is_meant(name: str, wanted: object) -> bool:
    """Returns whether a dependency may count without a name in the sources."""
    if name in _EXPANDED or re.search(r"[-_](sys|src)$|panic|alloc|[-_]build$", name):
        return True
    if isinstance(wanted, dict):
        return any(key in wanted for key in ("optional", "features", "default-features", "artifact"))
    return not isinstance(wanted, str) or wanted.startswith("=")


def _package(name: str, wanted: Any) -> str:
    return str(wanted.get("package", name)) if isinstance(wanted, Mapping) else name


def _forms(name: str) -> set[str]:
    """Returns what a library may be called whose package has a name: packages may call it in another way."""
    short = re.sub(r"^(?:rust|rs|lib)[-_]|[-_]?(?:rs|rust)$", "", name)
    names = {name, short}
    return {re.sub(r"-", by, one) for one in names for by in ("_", "") if one}


def _text_of(survey: Survey, folder: str, manifests: Manifests) -> str:
    """Returns the sources of a package without comments; nothing where they may be elsewhere too, or are made."""
    below = f"{folder}/" if folder else ""
    others = [f"{other}/" for other in manifests if other.startswith(below) and other != folder and other]
    inside = [path for path in survey.snapshot.paths if path.startswith(below) and not path.startswith(tuple(others))]
    sources = [survey.snapshot.read(path) for path in inside if path.endswith(".rs")]
    own = "\n".join(source.text for source in sources if source and not source.path.endswith("build.rs"))
    is_linked = any(path.startswith(below) for path in survey.snapshot.left_out if path.endswith((".rs", "/src")))
    manifest = manifests[folder][0].text
    if is_linked or None in sources or _BUILT.search(own) or re.search(r"path\s*=\s*\"\.\./[^\"]*\.rs\"", manifest):
        return ""
    return _COMMENT.sub("", own) if re.search(r"\bfn\b", own) else ""
