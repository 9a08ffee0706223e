"""Manifests that promise, name or bring what they should not are told; what may be meant or made by a build is not."""

import io
import json
from pathlib import Path

import pytest

from agenthost.agents.manifests.ci import find_untested_floor
from agenthost.agents.manifests.npm import find_in_npm
from agenthost.agents.manifests.python import find_in_python
from agenthost.agents.reading.snapshot import Snapshot
from agenthost.agents.survey.survey import Survey
from agenthost.agents.voice import Voice

FLOW = ".github/workflows/ci.yml"
RUFF = "[project]\nrequires-python = '>=3.9'\n[tool.ruff]\ntarget-version = '{}'\n"
BLACK = "[project]\nrequires-python = '>=3.9'\n[tool.black]\ntarget-version = ['{}', 'py312']\n"
PACKAGE = "[build-system]\n[project]\nname = '{}'\ndependencies = [\n  'six',\n  '{}>=1',\n]\n"
POETRY = "[tool.poetry]\nname = 'shop'\npackages = []\n[tool.poetry.dependencies]\npython = '^3.9'\nmypy = '^1'\n"
PROMISE = "[project]\nrequires-python = '>=3.9'\n"


def told(root: Path, files: dict[str, str]) -> set[str]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    survey = Survey(Snapshot(root), Voice(io.StringIO()), seconds=60)
    found = [finding for look in (find_in_python, find_in_npm, find_untested_floor) for finding in look(survey)]
    assert all(finding.evidence for finding in found)
    return {f"{one.rule.removeprefix('lens:')} {one.evidence[0].path}:{one.evidence[0].start_line}" for one in found}


def npm(**members: object) -> str:
    return json.dumps({"name": "shop", "version": "1.0.0", **members}, indent=1)


def runs(python: str = "'3.12'", more: str = "") -> str:
    return f"jobs:\n  a:\n    steps:\n    - uses: a@v3.1\n      with: {{python-version: {python}}}\n    - run: pytest\n{more}"


def node(version: str) -> str:
    return f"jobs:\n  a:\n    steps:\n    - with:\n        node-version: {version}\n    - run: npm test\n"


@pytest.mark.parametrize(
    ("files", "rules"),
    [
        ({"pyproject.toml": RUFF.format("py311")}, {"target-above-floor pyproject.toml:4"}),
        ({"pyproject.toml": BLACK.format("py310")}, {"target-above-floor pyproject.toml:4"}),
        ({"pyproject.toml": PROMISE, "ruff.toml": "target-version = 'py310'\n"}, {"target-above-floor ruff.toml:1"}),
        ({"pyproject.toml": PACKAGE.format("shop", "pytest")}, {"tool-at-run-time pyproject.toml:6"}),
        ({"pyproject.toml": POETRY}, {"tool-at-run-time pyproject.toml:6"}),
        ({"setup.py": "setup(\n name='shop',\n install_requires=['black'])\n"}, {"tool-at-run-time setup.py:3"}),
        ({"package.json": npm(dependencies={"eslint": "9"})}, {"tool-at-run-time package.json:5"}),
        (
            {"package.json": npm(packageManager="pnpm@9"), "pnpm-lock.yaml": "", "yarn.lock": ""},
            {"foreign-lockfile package.json:4"},
        ),
        ({"package.json": npm(main="lib.js", files=["lib.js"])}, {"missing-entry package.json:4"}),
        ({"package.json": npm(repository="a/b", bin={"shop": "./bin/shop.js"})}, {"missing-entry package.json:6"}),
        ({"pyproject.toml": PROMISE, FLOW: runs("['3.11', '3.12']")}, {"untested-floor pyproject.toml:2"}),
        ({"package.json": npm(engines={"node": ">=18"}), FLOW: node("[20, 22.x]")}, {"untested-floor package.json:5"}),
    ],
)
def test_what_a_manifest_says_that_is_not_so_is_told(tmp_path: Path, files: dict[str, str], rules: set[str]) -> None:
    assert told(tmp_path, files) == rules


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": RUFF.format("py39")},
        {"pyproject.toml": BLACK.format("py39")},
        # No lower version can be named.
        {"pyproject.toml": "[project]\nrequires-python = '>=3.6'\n[tool.ruff]\ntarget-version = 'py37'\n"},
        {"pyproject.toml": PACKAGE.format("pytest-shop", "pytest")},
        {"pyproject.toml": PACKAGE.format("shop", "pytest") + "[project.entry-points.pytest11]\na = 'b'\n"},
        {"pyproject.toml": PACKAGE.format("shop", "black"), "shop/a.py": "run(['black', path])\n"},
        {"pyproject.toml": PACKAGE.format("shop", "pytest"), "shop/a.py": "import pytest\n"},
        {"pyproject.toml": PACKAGE.format("shop", "black").replace("[build-system]\n", "")},
        {"requirements.txt": "pytest\n"},
        {"package.json": npm(private=True, dependencies={"eslint": "9"})},
        {"package.json": npm(dependencies={"eslint": "9"}), "a.js": "import { ESLint } from 'eslint';\n"},
        {"package.json": npm(name="shop-config", dependencies={"eslint": "9"})},
        {"package.json": npm(packageManager="pnpm@9"), "yarn.lock": ""},
        {"package.json": npm(packageManager="pnpm@9"), "pnpm-lock.yaml": "", "yarn.lock": "", FLOW: "key: yarn.lock\n"},
        {"package.json": npm(main="lib.js", files=[], scripts={"build": "tsc"})},
        {"package.json": npm(main="dist/lib.js", files=["dist"])},
        {"package.json": npm(main="index.js")},
        {"package.json": npm(main="lib.js", files=["lib.js"]), "lib.js": ""},
        {"pyproject.toml": PROMISE, FLOW: runs("['3.9', '3.12']")},
        {"pyproject.toml": PROMISE, FLOW: runs(), "tox.ini": "envlist = py39, py312\n"},
        {"pyproject.toml": PROMISE, FLOW: runs("${{ fromJSON(a) }}")},
        {"pyproject.toml": PROMISE, FLOW: runs(more="  b:\n    uses: own/shared/.github/workflows/test.yml@main\n")},
        {"package.json": npm(engines={"node": ">=18"}), FLOW: node("[18, 22.x]")},
        {"package.json": npm(engines={"node": ">=18"}), FLOW: node("lts/*")},
        {"package.json": npm(engines={"node": ">=18"}, private=True), FLOW: node("[22]")},
    ],
)
def test_what_may_be_meant_or_made_is_not_told(tmp_path: Path, files: dict[str, str]) -> None:
    assert told(tmp_path, files) == set()
