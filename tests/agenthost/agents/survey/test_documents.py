from collections.abc import Callable

import pytest

from agenthost.agents.survey.documents.links import find_dead_links
from agenthost.agents.survey.documents.manifests import find_unpackaged
from agenthost.agents.survey.documents.named_things import find_missing_things
from agenthost.agents.survey.documents.own_addresses import find_dead_addresses
from agenthost.agents.survey.documents.requirements import find_contradictions
from agenthost.agents.survey.finding import Finding

Looker = Callable[..., list[Finding]]


@pytest.mark.parametrize(
    "line",
    [
        "See [the guide](docs/guide.md).",
        "See [the guide](./docs/guide.md#start 'Title').",
        "![logo](/art/logo.png)",
        '<img alt="x" src="art/logo.png">',
        "[ref]: docs/guide.md",
        "[mail](someone@example.org)",
        "[section](#no-such-section)",
    ],
)
def test_a_dead_link_is_found(look: Looker, line: str) -> None:
    (found,) = look(find_dead_links, {"README.md": f"# Title\n\n{line}\n"})
    assert found.evidence[0].start_line == 3


@pytest.mark.parametrize(
    ("line", "rule", "told"),
    [
        ("[a](guide.md)", "lens:moved-link", "`guide.md` should be `manual/guide.md`"),
        ("[a](sub/COPYING)", "lens:moved-link", "`sub/COPYING` should be `COPYING`"),
        ("[a]((https://a.b))", "lens:malformed-link", "begins with a second bracket"),
        ("[a](me@a.org)", "lens:malformed-link", "`mailto:` is missing"),
        ("[a](gone.md)", "lens:dead-link", "`gone.md` leads to nothing"),
        ("これは[a](gone.md)", "lens:dead-link", "`gone.md` leads to nothing"),
    ],
)
def test_the_advice_for_a_dead_link_fits_its_cause(look: Looker, line: str, rule: str, told: str) -> None:
    (found,) = look(find_dead_links, {"README.md": line, "manual/guide.md": "", "COPYING": ""})
    assert found.rule == rule
    assert told in found.title


def test_a_link_to_what_the_project_makes_is_not_dead(look: Looker) -> None:
    files = {
        "README.md": "[a](coverage/index.html) [b](dist/x.js) [c](gone.md)",
        ".gitignore": "# made\n/coverage/\ndist\n",
    }
    (found,) = look(find_dead_links, files)

    assert found.title == "`gone.md` leads to nothing"


ADDRESSES = "https://github.com/me/it"


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (f"![b]({ADDRESSES}/actions/workflows/gone.yml/badge.svg)", "lens:missing-workflow"),
        (f"![b]({ADDRESSES}/workflows/Gone/badge.svg)", "lens:missing-workflow"),
        (f"[b]({ADDRESSES}/blob/main/gone.md#part)", "lens:missing-page"),
        (f"![b]({ADDRESSES}/actions/workflows/ci.yml/badge.svg)", ""),
        (f"![b]({ADDRESSES}/workflows/The%20CI/badge.svg)", ""),
        (f"[b]({ADDRESSES}/blob/v1/gone.md) [c](https://github.com/you/it/blob/main/gone.md)", ""),
        (f"[b]({ADDRESSES}/tree/main/docs/)", ""),
    ],
)
def test_an_own_address_that_leads_nowhere_is_found(look: Looker, line: str, rule: str) -> None:
    workflow = {".github/workflows/ci.yml": 'name: "The CI"\n', "docs/a.md": ""}
    files = {"README.md": line, "pyproject.toml": f'[project.urls]\nhome = "{ADDRESSES}.git"\n', **workflow}
    assert [item.rule for item in look(find_dead_addresses, files)] == [rule] * bool(rule)


@pytest.mark.parametrize(
    ("path", "text", "rule"),
    [
        ("pyproject.toml", '[project]\nreadme = "README.rst"\n', "lens:missing-packaged-file"),
        ("pyproject.toml", '[project]\nlicense = {file = "LICENSE"}\n', "lens:missing-packaged-file"),
        ("pyproject.toml", '[tool.poetry]\ninclude = ["LICENSE", "README.md", "made.py"]\n', "lens:unpackaged-file"),
        ("Cargo.toml", '[package]\nlicense-file = "LICENSE"\n', "lens:missing-packaged-file"),
        ("MANIFEST.in", "include LICENSE README.md\n", "lens:unpackaged-file"),
        ("pyproject.toml", '[project]\nlicense = "MIT"\nreadme = "README.md"\nlicense-files = ["LICEN*"]\n', ""),
        ("MANIFEST.in", "include LICENSE LICENSE.txt\n", ""),
    ],
)
def test_a_file_that_a_manifest_names_and_that_is_missing_is_found(
    look: Looker, path: str, text: str, rule: str
) -> None:
    found = look(find_unpackaged, {path: text, "README.md": "", "LICENSE.txt": "x"})
    assert [item.rule for item in found] == [rule] * bool(rule)


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
        "array[index](argument)",
        "[link](linked/inside.md) [module](submodule/readme.md)",
    ],
)
def test_a_living_link_is_left_alone(look: Looker, line: str, tmp_path: object) -> None:
    files = {
        "README.md": f'# Title\n\n## What\'s new in 2.0?\n\n<a id="own-id"></a>\n{line}\n',
        "docs/there.md": "x\n",
        "docs/a b.md": "x\n",
    }
    (tmp_path / "linked").symlink_to("/nonexistent")  # type: ignore[operator]
    (tmp_path / "submodule").mkdir()  # type: ignore[operator]
    assert look(find_dead_links, files) == []


def test_documents_of_a_site_are_not_judged(look: Looker) -> None:
    assert (
        look(
            find_dead_links,
            {"docs/guide.md": "[gone](gone.md)\n", "mkdocs.yml": "", "site/_posts/a.md": "[gone](/gone/)\n"},
        )
        == []
    )


def test_files_and_commands_that_do_not_exist_are_found(look: Looker) -> None:
    files = {
        "README.md": "Look into `src/engine.py`.\n\n```sh\n$ make world\npython tools/go.py --fast\n```\n",
        "src/motor.py": "x = 1\n",
        "tools/stop.py": "x = 1\n",
        "Makefile": "all: build\n\nbuild:\n\ttrue\n",
    }
    found = look(find_missing_things, files)
    assert sorted(item.start_line for finding in found for item in finding.evidence) == [1, 4, 5]


@pytest.mark.parametrize(
    "text",
    [
        "Create `src/yours.py` first.\n",
        "Look into `src/motor.py` and `other/place.py` and `src/`.\n",
        "```sh\nmake build\nmake all  # everything\n```\n",
        "```sh\ncd sub\nmake world\n```\n",
        "```python\nmake world\n```\n",
        "make world a better place\n",
    ],
)
def test_what_exists_or_is_yet_to_be_made_is_left_alone(look: Looker, text: str) -> None:
    files = {"README.md": text, "src/motor.py": "x = 1\n", "Makefile": "all: build\n\nbuild:\n\ttrue\n"}
    assert look(find_missing_things, files) == []


def test_a_makefile_that_makes_up_targets_is_not_judged(look: Looker) -> None:
    files = {"README.md": "```\nmake world\n```\n", "Makefile": "include more.mk\nall:\n\ttrue\n"}
    assert look(find_missing_things, files) == []


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({"README.md": "Python 3.8+ is needed.\n", "pyproject.toml": '[project]\nrequires-python = ">=3.10"\n'}, 1),
        (
            {
                "README.md": "It needs Python 3.10 or newer.\n",
                "pyproject.toml": '[project]\nrequires-python = ">=3.10"\n',
            },
            0,
        ),
        ({"README.md": "Needs Node.js 12 or higher\n", "package.json": '{"engines": {\n"node": ">=18"\n}}'}, 1),
        ({"README.md": "### async functions (node v7+)\n", "package.json": '{"engines": {\n"node": ">=18"\n}}'}, 0),
        ({"README.md": "Make sure that you use Rust 1.76 or newer.\n", "Cargo.toml": 'rust-version = "1.88.0"\n'}, 1),
        ({"README.md": "¹ Requires Node.js 15 or above.\n", "package.json": '{"engines": {\n"node": ">=22"\n}}'}, 0),
        (
            {"README.md": "It needs Rust 1.79.0 or\nhigher.\n", "Cargo.toml": '[package]\nrust-version = "1.88"\n'},
            1,
        ),
        ({"README.md": "Requires Go 1.21 or above\n", "go.mod": "module a\n\ngo 1.21.4\n"}, 0),
    ],
)
def test_contradictions_are_told_from_agreement(look: Looker, files: dict[str, str], count: int) -> None:
    assert len(look(find_contradictions, {"x": "", **files})) == count
