from collections.abc import Callable

import pytest

from agenthost.agents.claims.lens import find_broken_claims
from agenthost.agents.survey.finding import Finding

Looker = Callable[..., list[Finding]]
PAGE = "https://github.com/me/it"
PROJECT = {"pyproject.toml": f'[project]\nname = "it"\nurls = {{home = "{PAGE}"}}\n'}
GUIDE = {"docs/guide.md": "# Guide\n\n## What's new, in 2.0?\n\n## Odd {#own-id}\n\n<a name='old'></a>\n"}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[a](docs/guide.md#first)", "`#first` names no section of docs/guide.md"),
        ("[a](docs/guide#first)", "`#first` names no section of docs/guide.md"),
        (f"[a]({PAGE}/blob/main/docs/guide.md#first)", "`#first` names no section of docs/guide.md"),
        ("[a](docs/guide.md#what\u2019s-new,-in-2.0)", "punctuation is no part of their names"),
        (
            "[a](docs/guide.md#whats-new-in-20) [b](docs/guide.md#own-id) [c](docs/guide.md#old) [d](docs/guide.md#L3)",
            "",
        ),
        ("[a](docs/made.md#first) [b](docs/gone.md#first)", ""),
        ("https://github.com/you/it/blob/main/docs/guide.md#first", ""),
        ("`[a](docs/guide.md#first)`", ""),
        (f"[terms]({PAGE}/TERMS.md)", f"`{PAGE}/TERMS.md` lacks `blob/` and the branch before `TERMS.md`"),
        (f"[terms]({PAGE}/blob/main/TERMS.md) [a]({PAGE}/issues) [b](https://github.com/you/it/TERMS.md)", ""),
        (
            f"[![b]({PAGE}/actions/workflows/ci.yml/badge.svg)](https://github.com/me/it-core/actions/workflows/ci.yml)",
            "the badge shows a workflow of me/it, and leads to me/it-core",
        ),
        (f"[![b]({PAGE}/actions/workflows/ci.yml/badge.svg)]({PAGE}/actions)", ""),
    ],
)
def test_a_link_is_followed_to_its_section(look: Looker, line: str, told: str) -> None:
    others = {"docs/made.md": "# A\n\n--8<-- 'b.md'\n", "TERMS.md": "", ".github/workflows/ci.yml": ""}
    found = look(find_broken_claims, {"README.md": f"# It\n\n{line}\n", **PROJECT, **GUIDE, **others})
    assert [(item.evidence[0].start_line, told in item.title) for item in found] == [(3, True)] * bool(told)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("See [the guide][the-guide].\n\n[other]: https://a.b\n", 1),
        ("See [the `guide`][the-guide].\n", 1),
        ("See [the guide][guide].\n\n[guide]: https://a.b\n", 0),
        ("`[the guide][guide]` and\n\n```\n[the guide][guide]\n```\n\n[other]: https://a.b\n", 0),
        ("Titles are like [Fix][Core] x, and cells like table[row][name].\n", 0),
    ],
)
def test_a_link_without_a_definition_is_found(look: Looker, text: str, count: int) -> None:
    found = look(find_broken_claims, {"README.md": text})
    assert [item.rule for item in found] == ["lens:undefined-label"] * count


def test_what_a_changelog_and_a_template_link_to_is_left_alone(look: Looker) -> None:
    documents = dict.fromkeys(
        ("CHANGELOG.md", "docs/releases/1.0.md", "templates/README.md"), "[a](#gone) [b](/docs/guide.md#gone)\n"
    )
    assert look(find_broken_claims, {**GUIDE, **documents}) == []


RUNNERS = {
    "Makefile": "# Targets are test and made.\ntest: lint\n\t@echo fine\n\nlint:\n\ttrue\n",
    "package.json": '{"scripts": {"build": "x", "test:all": "y"}}',
    "tox.ini": "[testenv:docs]\n",
    "noxfile.py": "@nox.session\ndef docs(session): ...\n",
    "justfile": "check:\n  true\n",
}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Run `make made` first.", "`make made`: there is no target `made`"),
        ("```sh\n$ make gone  # all\n```", "there is no target `gone`"),
        ("Run `npm run gone` or `pnpm run test:all`.", "`npm run gone`: there is no script `gone`"),
        ("Run `tox -e gone`.", "there is no environment `gone`"),
        ("Run `nox -s gone`.", "there is no session `gone`"),
        ("Run `just gone`.", "there is no recipe `gone`"),
        (
            "Run `make`, `make test`, `make Makefile`, `npm run build`, `tox -e py312`, `nox -s docs` and `just check`.",
            "",
        ),
        ("In your project, run `npm run gone`. We make made.", ""),
        ("```sh\ncd other\nmake gone\n```", ""),
    ],
)
def test_a_command_is_known_to_its_runner(look: Looker, text: str, told: str) -> None:
    found = look(find_broken_claims, {"CONTRIBUTING.md": f"# Working\n\n{text}\n", **RUNNERS})
    assert [told in item.title for item in found] == [True] * bool(told)


@pytest.mark.parametrize(
    "files",
    [
        {"README.md": "# Use it\n\nCall `make gone`.\n", **RUNNERS},
        {"CONTRIBUTING.md": "Run `make gone`.\n", "Makefile": "%:\n\ttrue\n"},
        {"CONTRIBUTING.md": "Run `make gone`.\n", **RUNNERS, "CMakeLists.txt": ""},
        {"CONTRIBUTING.md": "Run `make gone`.\n", "sub/Makefile": "all:\n"},
    ],
)
def test_a_command_that_may_be_known_is_left_alone(look: Looker, files: dict[str, str]) -> None:
    assert look(find_broken_claims, files) == []


TREE = {"src/core/a.py": "", "docs/site/config.ts": "", "docs/site/dist/b.js": "", "conf/one.yml": ""}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Install what is in `requirements.txt`.", "`requirements.txt` is nowhere in the repository"),
        ("```\npip install -r requirements.txt\n```", "`requirements.txt` is nowhere in the repository"),
        ("```\npython setup.py develop\n```", "`setup.py` is nowhere in the repository"),
        ("See `src/a.py`.", "`src/a.py` does not exist; `src/core/a.py` does"),
        ("Edit `docs/site/config.js`.", "`docs/site/config.js` does not exist; `docs/site/config.ts` does"),
        ("See `src/core/a.py`, `src/none.py`, `gone/a.py` and `docs/site/dist/c.js`.", ""),
        ("There is no longer a `setup.py`.", ""),
        ("Add a file such as `src/a.py`.", ""),
    ],
)
def test_a_file_that_a_document_names_exists(look: Looker, line: str, told: str) -> None:
    found = look(find_broken_claims, {"CONTRIBUTING.md": f"# Working\n\n{line}\n", **TREE})
    assert [item.title for item in found] == [told] * bool(told)


PACKAGE = {
    "src/it/__init__.py": "from ._client import *\nfrom .parts import *\nVERSION = 1\n",
    "src/it/_client.py": "class Client: ...\n",
    "src/it/parts/__init__.py": "from .one import *\n",
    "src/it/parts/one.py": "def get(): ...\n",
}


@pytest.mark.parametrize(
    ("kind", "code", "told"),
    [
        ("python", "import it\nit.Gone()", "the example uses `it.Gone`, which `it` does not have"),
        ("python", "from it import Client, gone", "the example uses `it.gone`, which `it` does not have"),
        ("", "import it\n\nit.Gone()", "the example uses `it.Gone`, which `it` does not have"),
        (
            "python",
            "call({\n  'a': b()\n  'c': d(),\n})",
            "the example does not parse: invalid syntax. Perhaps you forgot a comma?",
        ),
        ("python", "import it\nawait it.get()\nit.Client(), it.VERSION, it.parts, it._client", ""),
        ("python", "it = other()\nit.Gone()", ""),
        ("python", ">>> it.get()\n1 2", ""),
        ("python", "def f(a, ... b):\n  pass", ""),
        ("python", "pip install it==1", ""),
        ("", "get { it }", ""),
        ("python", "async def run(self, ...):\n  go(1)", ""),
        ("python", "make('a')\ncase 'b':\n  go(1)", ""),
    ],
)
def test_an_example_can_be_run(look: Looker, kind: str, code: str, told: str) -> None:
    found = look(find_broken_claims, {"README.md": f"# It\n\n```{kind}\n{code}\n```\n", **PACKAGE})
    assert [item.title for item in found] == [told] * bool(told)


def test_sketches_need_not_run(look: Looker) -> None:
    """They teach agents, or are many, and then no example of the repository is believed to be whole."""
    sketch = "```python\ncall(a b)\n```\n\n"
    assert look(find_broken_claims, {".claude/skills/a.md": sketch, "docs/b.md": sketch * 7}) == []


def test_a_package_that_makes_its_names_when_it_runs_is_not_judged(look: Looker) -> None:
    lazy = {"it/__init__.py": "def __getattr__(name): ...\n", "README.md": "```python\nfrom it import gone\n```\n"}
    assert look(find_broken_claims, lazy) == []


@pytest.mark.parametrize(
    ("path", "text", "count"),
    [
        ("README.adoc", "image:https://img.shields.io/nexus/r/a?server=https%3A%2F%2Foss.sonatype.org[]", 1),
        ("build.gradle", "maven { url 'https://dl.bintray.com/a/b' }", 1),
        ("README.md", "![ci](https://travis-ci.org/a/b.svg?branch=master)", 1),
        ("README.md", "https://central.sonatype.com and https://travis-ci.org.example.com, once at travis-ci.org", 0),
        ("CHANGELOG.md", "https://travis-ci.org/a/b", 0),
    ],
)
def test_an_address_of_an_ended_service_is_found(look: Looker, path: str, text: str, count: int) -> None:
    assert [item.rule for item in look(find_broken_claims, {path: f"{text}\n"})] == ["lens:ended-service"] * count


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({}, 1),
        ({"package-lock.json": "istanbul"}, 1),
        ({"package.json": '{"scripts": {"test": "c8 ava"}}'}, 0),
        ({".github/workflows/ci.yml": "    uses: me/shared/.github/workflows/test.yml@v1\n"}, 0),
        ({".circleci/config.yml": "jobs:\n"}, 0),
    ],
)
def test_a_badge_of_coverage_needs_something_that_measures(look: Looker, files: dict[str, str], count: int) -> None:
    badge = "[![c](https://codecov.io/gh/me/it/graph/badge.svg)](https://codecov.io/gh/me/it)\n"
    made = {"README.md": badge, ".github/workflows/ci.yml": "on: push\n", "package.json": "{}", **files}
    assert [item.rule for item in look(find_broken_claims, made)] == ["lens:unmeasured-coverage"] * count
