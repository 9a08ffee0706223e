from collections.abc import Callable
from pathlib import Path

import pytest

from agenthost.agents.claims.versions import find_contradictions
from agenthost.agents.survey.documents.links import find_dead_links
from agenthost.agents.survey.documents.named import find_missing
from agenthost.agents.survey.finding import Finding

Looker = Callable[..., list[Finding]]


@pytest.mark.parametrize(
    ("line", "rule", "told"),
    [
        ("See [the guide](docs/guide.md).", "dead-link", "`docs/guide.md` leads to nothing"),
        ("See [the guide](./docs/guide.md#start 'Title').", "dead-link", ""),
        ("![logo](/art/logo.png)", "dead-link", ""),
        ('<img alt="x" src="art/logo.png">', "dead-link", ""),
        ("[a][ref]\n\n[ref]: docs/guide.md", "dead-link", ""),
        ("これは[a](gone.md)", "dead-link", "`gone.md` leads to nothing"),
        ("[section](#no-such-section)", "dead-anchor", "`#no-such-section` names no section"),
        ("[a](guide.md)", "moved-link", "`guide.md` should be `manual/guide.md`"),
        ("[a](manual/guide)", "moved-link", "`manual/guide` should be `manual/guide.md`"),
        ("[a](sub/COPYING)", "moved-link", "`sub/COPYING` should be `COPYING`"),
        ("[a](Manual/Guide.md)", "moved-link", "`Manual/Guide.md` should be `manual/guide.md`"),
        ("[a]((https://a.b))", "malformed-link", "begins with a second bracket"),
        ("[a](me@a.org)", "malformed-link", "`mailto:` is missing"),
        ("[https://a.b/sets](sets)", "malformed-link", "each other's place"),
    ],
)
def test_a_dead_link_is_found_with_its_cause(look: Looker, line: str, rule: str, told: str) -> None:
    files = {"README.md": f"# Title\n\n{line}\n", "manual/guide.md": "", "COPYING": ""}
    files = files if rule == "moved-link" else {"README.md": files["README.md"]}
    (found,) = look(find_dead_links, files)
    assert (found.rule, found.evidence[0].start_line) == (f"lens:{rule}", 3)
    assert told in found.title


def test_a_link_has_the_line_on_which_it_stands(look: Looker) -> None:
    paragraph = "A paragraph\nof three lines\nwith [a](gone.md), ![b](lost.png)\n\n"
    text = f"{paragraph}| a |\n|---|\n| [c](away.md) |\n\n<p>\n<a href='left.md'>\n</p>\n"
    found = look(find_dead_links, {"README.md": text})
    assert [item.evidence[0].start_line for item in found] == [3, 3, 7, 10]


def test_a_link_to_what_the_project_makes_is_not_dead(look: Looker) -> None:
    files = {
        "README.md": "[a](coverage/index.html) [b](dist/x.js) [c](gone.md)",
        ".gitignore": "# made\n/coverage/\ndist\n",
    }
    (found,) = look(find_dead_links, files)
    assert found.title == "`gone.md` leads to nothing"


def test_a_heading_of_html_is_a_section(look: Looker) -> None:
    assert not look(
        find_dead_links, {"README.md": '<div>\n  <h1 align="center"><b>The Tool</b></h1>\n</div>\n\n[a](#the-tool)\n'}
    )


def test_a_document_that_a_link_shows_elsewhere_is_not_judged(look: Looker, tmp_path: Path) -> None:
    (tmp_path / "README.md").symlink_to("packages/zod/README.md")
    assert not look(find_dead_links, {"packages/zod/README.md": "![logo](logo.svg)\n", "logo.svg": ""})


def test_a_path_that_git_ignores_is_made_by_a_build(look: Looker) -> None:
    files = {"packages/a/tsconfig.json": '{"files": ["src/index.ts"]}', "packages/a/.gitignore": "src/**\n"}
    assert not look(find_missing, files)


ADDRESSES = "https://github.com/me/it"


@pytest.mark.parametrize(
    ("line", "count"),
    [
        (f"![b]({ADDRESSES}/actions/workflows/gone.yml/badge.svg)", 1),
        (f"[b]({ADDRESSES}/blob/main/gone.md#part)", 1),
        (f"![b]({ADDRESSES}/actions/workflows/ci.yml/badge.svg)", 0),
        (f"[b]({ADDRESSES}/blob/v1/gone.md) [c](https://github.com/you/it/blob/main/gone.md)", 0),
        (f"[b]({ADDRESSES}/tree/main/docs/) [c]({ADDRESSES}/issues)", 0),
    ],
)
def test_an_own_address_that_leads_nowhere_is_found(look: Looker, line: str, count: int) -> None:
    workflow = {".github/workflows/ci.yml": 'name: "The CI"\n', "docs/a.md": ""}
    files = {"README.md": line, "pyproject.toml": f'[project.urls]\nhome = "{ADDRESSES}.git"\n', **workflow}
    assert [item.rule for item in look(find_dead_links, files)] == ["lens:dead-link"] * count


@pytest.mark.parametrize(
    "line",
    [
        "[there](docs/there.md) [folder](docs) [encoded](docs/a%20b.md) [query](docs/there.md?raw=1)",
        "[web](https://a.b/c) [mail](mailto:a@b.c) [other](//a.b/c)",
        "[issues](../../issues) [releases](../../releases/latest)",
        "`[code](gone.md)`",
        "```\n[code](gone.md)\n```",
        "<!-- [comment](gone.md) -->",
        "[template]({{ url }}) [variable](path/to/<name>)",
        "[title](#title) [punctuated](#whats-new-in-20) [again](#title-1) [own](#own-id)",
        "array[index]",
        "[route](/settings/search) [rustdoc](a::B)",
        "[link](linked/inside.md) [module](submodule/readme.md)",
        "[badged](#badged-)\n\n## Badged ![one](docs/there.md)",
        "<!-- ALL-CONTRIBUTORS-LIST:START -->\n<a href='#infra-me'>me</a>\n\n<!-- ALL-CONTRIBUTORS-LIST:END -->",
    ],
)
def test_a_living_link_is_left_alone(look: Looker, line: str, tmp_path: Path) -> None:
    files = {
        "README.md": f'# Title\n\n## What\'s new in 2.0?\n\n<a id="own-id"></a>\n{line}\n',
        "docs/there.md": "x\n",
        "docs/a b.md": "x\n",
    }
    (tmp_path / "linked").symlink_to("/nonexistent")
    (tmp_path / "submodule").mkdir()
    assert look(find_dead_links, files) == []


@pytest.mark.parametrize(("good", "told"), [(4, 1), (60, 10)])
def test_documents_of_another_place_are_known_by_their_many_misses(look: Looker, good: int, told: int) -> None:
    """They are shown on a site whose addresses are no files, such as slugs."""
    misses = "".join(f"[page {number}](../start/page-{number})\n" for number in range(9))
    there = "[a](b.md)\n" * good
    files = {"manual/10/a.md": misses, "manual/10/b.md": there, "docs/a.md": "[gone](gone.md)\n", "docs/b.md": ""}

    assert len(look(find_dead_links, files)) == told


def test_documents_beside_sources_of_rust_are_shown_among_its_items(look: Looker) -> None:
    files = {"web/src/docs/a.md": "[state](crate#state)\n", "web/src/lib.rs": "", "web/docs/b.md": "[gone](gone.md)\n"}

    assert [item.evidence[0].path for item in look(find_dead_links, files)] == ["web/docs/b.md"]


def test_documents_of_a_site_and_changelogs_are_not_judged(look: Looker) -> None:
    files = ("docs/guide.md", "site/_posts/a.md", "CHANGELOG.md", "pages/source/b.md")
    made = dict.fromkeys(("mkdocs.yml", "site/_config.yml", "pages/source/index.mdx"), "")
    given = dict.fromkeys(files, "[gone](gone.md)\n") | made
    assert look(find_dead_links, given) == []


FILES = {"README.md": "", "LICENSE.txt": "x", "src/app/main.py": "", "compose.yml": "services:\n  web:\n    image: a\n"}


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("pyproject.toml", '[project]\nreadme = "README.rst"\n', 2),
        ("pyproject.toml", '[project]\nlicense = {file = "LICENSE"}\n', 2),
        ("pyproject.toml", '[tool.poetry]\ninclude = ["LICENSE", "README.md"]\n', 2),
        ("pyproject.toml", '[project]\nlicense = "MIT"\nreadme = "README.md"\nlicense-files = ["LICEN*"]\n', 0),
        ("package.json", '{\n"name": "a",\n"bin": "index.js"}', 3),
        ("package.json", '{"bin": {"a": "./src/app/main.py", "b": "dist/b.js"}}', 0),
        ("web/tsconfig.json", '{\n// one\n"references": [{"path": "../api"},],\n}', 3),
        ("turbo.json", '{"globalDependencies": [".env*", "gone.js"]}', 1),
        ("docker-compose.yml", "services:\n  a:\n    build: ./gone\n", 3),
        ("docker-compose.yml", "services:\n  a:\n    build:\n      context: src\n", 0),
        (".github/dependabot.yml", "updates:\n- directory: /web\n- directory: /src\n", 2),
        (".github/workflows/a.yml", "on:\n  push:\n    paths:\n    - src/**\n    - gone/**\n    - '**.py'\n", 5),
        (".github/workflows/a.yml", "on:\n  push:\n    paths:\n    - app/**\n    - '!gone'\n", 0),
        (".github/labeler.yml", "a:\n- changed-files:\n  - any-glob-to-any-file: ['src/*', 'lost/*']\n", 3),
        ("CODEOWNERS", "# /gone/ @a\n/src/ @a\n/gone/ @a\n*.py @b\n", 3),
        (".github/CODEOWNERS", "src/app/main.py @a\nold/ @a\n**/gone @a\nold/gone @a\n", 4),
        ("MANIFEST.in", "include LICENSE.txt\ninclude Changelog\nrecursive-include docs *\n", 2),
        ("setup.py", 'url="https://a.b/c" + "/tree/master/examples"\n', 1),
    ],
)
def test_a_path_that_configuration_names_and_that_is_missing_is_found(
    look: Looker, path: str, text: str, line: int
) -> None:
    found = look(find_missing, {**FILES, path: text})
    assert [(item.rule, item.evidence[0].start_line) for item in found] == [
        ("lens:missing-configured-path", line)
    ] * bool(line)


@pytest.mark.parametrize(
    ("path", "text", "missing"),
    [
        ("setup.sh", "set -e\npip install -r requirements/dev.txt\n", "file `requirements/dev.txt`"),
        (
            ".github/workflows/a.yml",
            "jobs:\n  a:\n    steps:\n    - run: ruby test/all.rb\n",
            "file `test/all.rb`",
        ),
        ("release.sh", "set -e\n./scripts/version.js --next\n", "file `./scripts/version.js`"),
        ("package.json", '{"scripts": {"a": "node scripts/a.js --fast"}}', "file `scripts/a.js`"),
        ("package.json", '{"scripts": {"lint": "tslint -c tslint.json src"}}', "file `tslint.json`"),
        ("Makefile", "a:\n\tcd web && b\nc:\n\t@scripts/a.sh $(X)\n", "file `scripts/a.sh`"),
        ("Makefile", "a:\n\tgo run scripts/all.go a\n", "file `scripts/all.go`"),
        ("Makefile", "a:\n\tprintf %s \\\n\tscripts/a.sh\n", ""),
        ("Makefile", "a: scripts/a.sh\n\tscripts/a.sh\nscripts/a.sh:\n\tb > $@\n", ""),
        ("justfile", "a:\n    ./scripts/a.sh {{ b }}\n", "file `./scripts/a.sh`"),
        (".vscode/tasks.json", '{"tasks": [{\n  "command": "./scripts/a.sh"}]}', "file `./scripts/a.sh`"),
        ("setup.sh", "set -e\n# This file is synced from https://a.b/c\nbash scripts/a.sh\n", ""),
        ("Makefile", "image:\n\tpacker build contrib/packer.json\n", "file `contrib/packer.json`"),
        ("Makefile", "build:\n\tdocker compose build --pull worker\n", "service `worker`"),
        ("Makefile", "build:\n\tdocker compose build web\n\tpython src/app/main.py\n", ""),
        ("setup.sh", "[ -c a.json ] || tool --config dist/a.json\n", ""),
        ("setup.sh", "git clone https://a.b/c\npython infra/helper.py\n", ""),
        ("setup.sh", "# python infra/helper.py\npython made/main.py\n", ""),
    ],
)
def test_a_command_that_needs_what_is_missing_is_found(look: Looker, path: str, text: str, missing: str) -> None:
    found = look(find_missing, {**FILES, path: text})
    told = [f"there is no {missing}, which {path} names"] if missing else []
    rule = "lens:missing-service" if missing.startswith("service") else "lens:missing-command"
    assert [(item.rule, item.title) for item in found] == [(rule, title) for title in told]


RUST = {"Cargo.toml": '[package]\nrust-version = "1.88"\n'}
NODE = {"package.json": '{"engines": {\n"node": ">=18"\n}}'}
PYTHON = {"pyproject.toml": '[project]\nrequires-python = ">=3.10"\n'}


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({"README.md": "Python 3.8+ is needed.\n", **PYTHON}, 1),
        ({"README.md": "It needs Python 3.10 or newer.\n", **PYTHON}, 0),
        ({"README.md": "* Python >= 3.8\n", **PYTHON}, 1),
        ({"README.md": "Needs Node.js 12 or higher\n", **NODE}, 1),
        ({"README.md": "### async functions (node v7+)\n", **NODE}, 0),
        ({"README.md": "Make sure that you use Rust 1.76 or newer.\n", **RUST}, 1),
        ({"README.md": "¹ Requires Node.js 15 or above.\n", **NODE}, 0),
        ({"README.md": "It needs Rust 1.79.0 or\nhigher.\n", **RUST}, 1),
        ({"doc/README-ja.md": "Rust 1.79.0 以上\n", "doc/README-ru.md": "нужен Rust 1.79.0 или выше\n", **RUST}, 2),
        ({"plugin/README.md": "Requires Rust 1.77 or later\n", "plugin/Cargo.toml": 'rust-version = "1.77.2"\n', **RUST}, 0),
        ({"README.md": "Node.js 24.5+ supports proxies by itself.\n", **NODE}, 0),
        ({"contributing.md": "# A\n## Change files\nMake them with `npm run changes:add` (requires node 24+).\n", **NODE}, 0),
        ({"README.md": "# A\n## The panel\nRequires Node.js 24 or newer\n", **NODE}, 0),
        ({"README.md": "# A\n## Requirements\nNode.js 24 or newer\n", **NODE}, 1),
        ({"README.md": "If you build from source, you need Rust 1.76 or newer.\n", **RUST}, 1),
        ({"README.md": "it's MSRV is 1.75.\n", **RUST}, 1),
        ({"README.md": "The minimum supported Rust version is **1.88**.\n", **RUST}, 0),
        ({"a/README.md": "a's MSRV is 1.75.\n", "a/Cargo.toml": "rust-version = { workspace = true }\n", **RUST}, 1),
        ({"a/README.md": "a's MSRV is 1.75.\n", "a/Cargo.toml": "[package]\n", **RUST}, 0),
        ({"README.md": "Requires Go 1.21 or above\n", "go.mod": "module a\n\ngo 1.21.4\n"}, 0),
    ],
)  # fmt: skip
def test_contradictions_are_told_from_agreement(look: Looker, files: dict[str, str], count: int) -> None:
    assert len(look(find_contradictions, {"x": "", **files})) == count
