"""Crates and settings of Cargo that count for nothing are told; what may be there for a build or a macro is not."""

import io
from pathlib import Path

import pytest

from agenthost.agents.manifests.cargo import find_in_cargo
from agenthost.agents.manifests.crates import find_unused_crates
from agenthost.agents.reading.snapshot import Snapshot
from agenthost.agents.survey.documents.named import find_missing
from agenthost.agents.survey.survey import Survey
from agenthost.agents.voice import Voice

PACKAGE = "[package]\nname = 'shop'\n{}\n[dependencies]\n{}\n"
ROOT = "[workspace]\nmembers = ['*']\n[workspace.package]\nedition = '2021'\n[workspace.lints.rust]\nunsafe_code = 'deny'\n"
MAIN = "use nom::IResult;\n// regex\nfn main() {}\n"
READS = 'fn main() {\n    let a = std::env::var("SHOP_DIR");\n}\n'


def told(root: Path, files: dict[str, str]) -> set[str]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    survey = Survey(Snapshot(root), Voice(io.StringIO()), seconds=60)
    found = [one for look in (find_in_cargo, find_unused_crates, find_missing) for one in look(survey)]
    return {f"{one.rule.removeprefix('lens:')} {one.evidence[0].path}:{one.evidence[0].start_line}" for one in found}


def package(dependency: str, text: str = MAIN, more: str = "") -> dict[str, str]:
    return {"Cargo.toml": PACKAGE.format(more, dependency), "src/main.rs": text}


@pytest.mark.parametrize(
    ("files", "rules"),
    [
        (package("regex = '1'\nnom = '7'"), {"unused-crate Cargo.toml:5"}),
        (package("[dependencies.tracing-subscriber]\nversion = '1'"), {"unused-crate Cargo.toml:5"}),
        (package("a-b = { path = 'a' }") | {"a/Cargo.toml": PACKAGE.format("", "")}, {"unused-crate Cargo.toml:5"}),
        (
            {"Cargo.toml": ROOT, "a/Cargo.toml": PACKAGE.format("edition = '2021'", "")},
            {"uninherited Cargo.toml:4", "uninherited Cargo.toml:5"},
        ),
        ({"Cargo.toml": PACKAGE.format("license = 'MIT/Apache-2.0'", "")}, {"slash-in-licence Cargo.toml:3"}),
        ({"Cargo.toml": PACKAGE.format("", ""), "build.rs": READS}, {"unseen-variable build.rs:2"}),
        ({"Cargo.toml": PACKAGE.format("readme = 'READ.md'", "")}, {"missing-configured-path Cargo.toml:3"}),
        (
            {"Cargo.toml": PACKAGE.format("", "[[bench]]\nname = 'a'\npath = 'speed/a.rs'")},
            {"missing-configured-path Cargo.toml:7"},
        ),
    ],
)
def test_what_counts_for_nothing_is_told(tmp_path: Path, files: dict[str, str], rules: set[str]) -> None:
    assert told(tmp_path, files) == rules


@pytest.mark.parametrize(
    "files",
    [
        package("nom = '7'"),
        package("regex = { version = '1', optional = true }"),
        package("regex = { version = '1', features = ['std'] }"),
        package("regex = '=1.2.3'"),
        package("z-sys = '1'\nserde = '1'"),
        package("# for a lower minimal version\nregex = '1'"),
        package("regex = '1'", more="[package.metadata.cargo-machete]\nignored = ['regex']"),
        package("regex = '1'", more="[features]\nfast = ['regex/perf']"),
        package("regex = '1'", 'include!(concat!(env!("OUT_DIR"), "/a.rs"));\nfn a() {}\n'),
        package("md-5 = '1'\nrust-ini = '1'", "use md5::A;\nuse ini::B;\nfn a() {}\n"),
        package("regex_wasi = '1'", "use regex::A;\nfn a() {}\n"),
        package("r = { path = 'a' }") | {"a/Cargo.toml": "[package]\nname = 'r'\n[lib]\nname = 'nom'\n"},
        {"Cargo.toml": ROOT, "a/Cargo.toml": PACKAGE.format("edition.workspace = true\n[lints]\nworkspace = true", "")},
        {"Cargo.toml": ROOT},
        {"Cargo.toml": PACKAGE.format("license = 'MIT OR Apache-2.0'", "")},
        {"Cargo.toml": PACKAGE.format("", ""), "build.rs": READS.replace("SHOP_DIR", "OUT_DIR")},
        {
            "Cargo.toml": PACKAGE.format("", ""),
            "build.rs": READS + 'fn a() { println!("cargo:rerun-if-env-changed=SHOP_DIR"); }\n',
        },
        {"Cargo.toml": PACKAGE.format("readme = 'READ.md'", ""), "READ.md": "a\n"},
    ],
)
def test_what_counts_is_not_told(tmp_path: Path, files: dict[str, str]) -> None:
    assert told(tmp_path, files) == set()
