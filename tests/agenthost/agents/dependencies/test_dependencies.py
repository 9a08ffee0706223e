"""Of what deptry says only what is certain is kept: precision over recall."""

import json
import sysconfig
from pathlib import Path

import pytest

from agenthost.agents.dependencies.certainty import Uses
from agenthost.agents.dependencies.declarations import projects
from agenthost.agents.dependencies.program import main
from agenthost.agents.reading.snapshot import Snapshot

DEPTRY = Path(sysconfig.get_path("scripts")) / "deptry"


def write(root: Path, files: dict[str, str]) -> Snapshot:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Snapshot(root)


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        (
            "pyproject.toml",
            "[project]\ndependencies = [\n  'Six>=1',\n  'a; python_version < \"3\"',\n 'b @ https://x']",
            "Six:3 a:4?",
        ),
        (
            "pyproject.toml",
            "[tool.poetry.dependencies]\npython = '^3'\nsix = '*'\nb = {version = '1', optional = true}",
            "six:3 b:4?",
        ),
        (
            "pyproject.toml",
            "[tool.poetry.dependencies]\nsix = '1.2'\nb = {version = '^1'}\nc = [{version = '^1'}]",
            "six:2? b:3 c:4?",
        ),
        ("setup.cfg", "[options]\ninstall_requires =\n  six\n  yarl[x]>=1\n", "six:3 yarl:4"),
        ("setup.py", "setup(\n  install_requires=[\n    'six',\n    f'{x}',\n  ],\n)", "six:3"),
        ("setup.py", "import os; os.system('touch /tmp/owned')\nsetup(install_requires=read())", ""),
        ("requirements.txt", "# why\n-r other.txt\nsix # here\nhttps://x/y.whl\nyarl==1\n", "six:3 yarl:5?"),
        ("requirements.txt", "six==1  # via yarl\n", ""),
        ("requirements.txt", "".join(f"a{at}==1\n" for at in range(12)), ""),
        ("requirements/base.txt", "six\n", "six:1"),
        ("tests/requirements.txt", "six\n", ""),
        ("pyproject.toml", "[project]\ndependencies = 7\n", ""),
        ("pyproject.toml", "[[[", ""),
        ("setup.py", "def (:", ""),
    ],
)
def test_declarations_are_read_as_data(path: str, text: str, told: str, tmp_path: Path) -> None:
    found = [one for declared in projects(write(tmp_path, {path: text})).values() for one in declared]

    assert " ".join(f"{one.name}:{one.line}{'?' if one.is_doubtful else ''}" for one in found) == told


@pytest.mark.parametrize(
    ("name", "path", "text", "is_unused"),
    [
        ("six", "a.py", "import os  # six of them\n", True),
        ("six", "a.py", "import six\n", False),
        ("six", "a.py", "try:\n    from six.moves import x\nexcept: pass\n", False),
        ("six", "a.py", "importlib.import_module('six')\n", False),
        ("six", "Dockerfile", "RUN python -m six\n", False),
        ("six", "setup.cfg", "[options.entry_points]\nx = six:main\n", False),
        ("pyyaml", "a.py", "import yaml\n", False),
        ("pyyaml", "a.py", "import json\n", True),
        ("protobuf", "a.py", "from google.protobuf import x\n", False),
        ("gunicorn", "a.py", "", False),  # it is started, not imported
        ("django-extensions", "a.py", "", False),
        ("google-auth", "a.py", "", False),
        ("strange-name", "a.py", "import os, json\n", True),  # nothing is imported that could be its
        ("strange-name", "a.py", "import other\n", False),  # this may be its
        ("strange-name", "a.py", "import six\nimport local\n", True),
    ],
)
def test_a_name_in_doubt_is_used(name: str, path: str, text: str, is_unused: object, tmp_path: Path) -> None:
    snapshot = write(tmp_path, {"requirements.txt": f"{name}\nsix\n", "local/b.py": "", path: text})
    declared = projects(snapshot)[""]

    assert Uses(snapshot, declared).is_unused(declared[0]) is is_unused


@pytest.mark.parametrize(
    ("others", "code", "is_unused"),
    [
        ("flask", "import flask\n", False),  # which brings it
        ("yarl", "import yarl\n", True),
        (
            "openai",
            "import openai\nsubprocess.run([sys.executable, path])\n",
            False,
        ),  # code that a model wrote may import it
        ("openai", "import openai\n", True),
    ],
)
def test_what_users_get_or_run_all_the_same_is_used(others: str, code: str, is_unused: object, tmp_path: Path) -> None:
    snapshot = write(tmp_path, {"requirements.txt": f"click\n{others}\n", "a.py": code})
    declared = projects(snapshot)[""]

    assert Uses(snapshot, declared).is_unused(declared[0]) is is_unused


@pytest.mark.processes
def test_deptry_reads_our_list_and_no_settings_of_the_project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = "[tool.deptry]\nignore = ['DEP002', 'DEP005']\nexclude = ['.*']\n"
    files = {
        "pyproject.toml": f"[project]\nname = 'x'\ndependencies = ['six', 'argparse', 'requests']\n{settings}",
        "x/a.py": "import requests\n",
    }
    write(tmp_path / "root", files)
    (tmp_path / "work").mkdir()

    assert main([str(DEPTRY)], root=tmp_path / "root", work=tmp_path / "work") == 0

    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(one["code"], one["path"], one["line"], one["message"].split("`")[1]) for one in said} == {
        ("DEP002", "pyproject.toml", 3, "six"),
        ("DEP005", "pyproject.toml", 3, "argparse"),
    }
