from collections.abc import Callable

import pytest

from agenthost.agents.survey.finding import Finding
from agenthost.agents.survey.risks.brace_risks import find_brace_risks
from agenthost.agents.survey.risks.credentials import find_credentials
from agenthost.agents.survey.risks.deployment import find_deployment_risks
from agenthost.agents.survey.risks.lens import find_python_risks
from agenthost.agents.survey.risks.workflows import find_workflow_risks

Looker = Callable[..., list[Finding]]

# Bait is put together here, so that no scanner takes this file for the real thing.
GITHUB_TOKEN = "gh" + "p_" + "aB3dE6gH1jK4mN7pQ0sT2vW5yZ8bC9fD2gJx"
AWS_ID = "AK" + "IA" + "Q7ZLM2XW5NDRT3VB"
AWS_SECRET = "x9Kd82+LmQpZ0aYvRt5uWc7eBn1fGh3jKl4oPq6S"
KEY = "-----BEGIN RSA " + "PRIVATE KEY-----\n" + ("MIIEpAIBAAKCAQEA" * 4 + "\n") * 6


def python_titles(look: Looker, text: str, path: str = "shop/cart.py") -> list[str]:
    return [finding.title for finding in look(find_python_risks, {path: text})]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "def f(a):\n    try:\n        a.save()\n    except Exception:\n        pass\n",
            "Every exception is swallowed in silence",
        ),
        (
            "def f(a):\n    for b in a:\n        try:\n            b.go()\n        except:\n            continue\n",
            "bare except",
        ),
        ("try:\n    go()\nexcept:\n    pass\n# TODO: finish\n", "bare except"),
        (
            "def f(a):\n    try:\n        a.go()\n    except Exception:\n        pass\n    # Next.\n    a.b()\n",
            "swallowed",
        ),
        ("import subprocess\ndef f(x):\n    subprocess.run(f'ls {x}', shell=True)\n", "shell command"),
        ("from os import system\ndef f(x):\n    system('ls ' + x)\n", "shell command"),
        ("import subprocess as sp\ndef f(x):\n    c = 'ls %s' % x\n    sp.run(c, shell=True)\n", "shell command"),
        ("import sys\neval(sys.argv[1])\n", "Input is evaluated"),
        ("import pickle\ndef f(s):\n    return pickle.loads(s.recv(99))\n", "is unpickled"),
        ("import yaml\ndef f(s):\n    return yaml.load(s, Loader=yaml.Loader)\n", "YAML"),
        ("import tarfile\ndef f(p):\n    with tarfile.open(p) as t:\n        t.extractall('x')\n", "tar archive"),
        ("import tempfile\nname = tempfile.mktemp()\n", "mktemp"),
        ("import requests\nrequests.get('https://a.b', verify=False)\n", "TLS"),
        ("def f(c, n):\n    c.execute(f\"select * from t where name = '{n}'\")\n", "SQL"),
        ("import random\ndef make_token():\n    return random.choice('ab')\n", "random module"),
        ("def f(x, seen=[]):\n    seen.append(x)\n    return seen\n", "default argument"),
        ("def check_permission(u):\n    assert u.may('write')\n", "security check"),
    ],
)
def test_a_dangerous_form_is_found(look: Looker, text: str, expected: str) -> None:
    titles = python_titles(look, text)
    assert len(titles) == 1
    assert expected in titles[0]


@pytest.mark.parametrize(
    "text",
    [
        "def f(a):\n    try:\n        a.save()\n    except ValueError:\n        pass\n",
        "def f(a):\n    try:\n        a.save()\n    except Exception:\n        log.exception('x')\n",
        "def f(a):\n    try:\n        a.save()\n    except Exception:\n        raise Wrong from None\n",
        "def f(a):\n    try:\n        a.save()\n    except Exception:\n        # The cache is only a help.\n        pass\n",
        "def f(a):\n    try:\n        a.save()\n    except Exception:\n        pass\n        # The cache is only a help.\n",
        "def f(a):\n    try:\n        a.save()\n    except Exception:  # noqa: BLE001\n        pass\n",
        "try:\n    import fast\nexcept Exception:\n    pass\n",
        "def __del__(self):\n    try:\n        self.go()\n    except Exception:\n        pass\n",
        "def f(self):\n    try:\n        self.sock.close()\n    except Exception:\n        pass\n",
        "import subprocess\nsubprocess.run('ls -l', shell=True)\n",
        "import subprocess\ndef f(x):\n    subprocess.run(['ls', x])\n",
        "import subprocess, shlex\ndef f(x):\n    subprocess.run(f'ls {shlex.quote(x)}', shell=True)\n",
        "def system(x): ...\nsystem('ls ' + y)\n",
        "eval('1 + 1')\n",
        "def f(model):\n    model.eval()\n",
        "import pickle\ndef f(path):\n    return pickle.load(path.open('rb'))\n",
        "import yaml\nyaml.load(s, Loader=yaml.SafeLoader)\nyaml.safe_load(s)\n",
        "import tarfile\ndef f(p):\n    with tarfile.open(p) as t:\n        t.extractall('x', filter='data')\n",
        "import zipfile\ndef f(p):\n    zipfile.ZipFile(p).extractall('x')\n",
        "import requests\ndef f(insecure):\n    if insecure:\n        requests.get('https://a.b', verify=False)\n",
        "import requests\ndef f(v):\n    requests.get('https://a.b', verify=v)\n",
        "def f(c, n):\n    c.execute('select * from t where name = ?', (n,))\n    c.execute(f'select * from {n}')\n",
        "import random\ndef shuffle_cards():\n    return random.choice('ab')\n",
        "def f(x, seen=[]):\n    return x in seen\n",
        "def f(x, seen=[]):\n    seen = list(seen)\n    seen.append(x)\n",
        "def f(x, _cache={}):\n    _cache[x] = 1\n",
        "def check_permission(u):\n    assert u is not None\n    assert isinstance(u, User)\n",
        "def describe_signature(s):\n    assert s.kind == 'x'\n",
    ],
)
def test_a_near_miss_is_left_alone(look: Looker, text: str) -> None:
    assert python_titles(look, text) == []


def test_risks_in_tests_examples_and_tooling_are_left_alone(look: Looker) -> None:
    text = "import subprocess\ndef f(x):\n    subprocess.run(f'ls {x}', shell=True)\n"
    files = dict.fromkeys(
        ("tests/test_a.py", "examples/a.py", "docs/a.py", "scripts/a.py", "vendor/a.py", "setup.py"), text
    )
    assert look(find_python_risks, files) == []


def test_the_same_problem_in_many_places_is_one_finding(look: Looker) -> None:
    text = "def f(a):\n    try:\n        a.save()\n    except Exception:\n        pass\n"
    (found,) = look(find_python_risks, {f"shop/m{number}.py": text for number in range(30)})
    assert "30 handlers in 30 files" in found.title
    assert len(found.evidence) == 20


def test_credentials_are_told_by_format_and_randomness(look: Looker) -> None:
    (found,) = look(
        find_credentials,
        {
            "deploy/settings.py": f"TOKEN = '{GITHUB_TOKEN}'\n",
            "deploy/aws.ini": f"id = {AWS_ID}\nsecret = {AWS_SECRET}\n",
            "deploy/server.pem": KEY,
        },
    )
    assert found.title == "3 credentials are committed"
    assert GITHUB_TOKEN not in found.claim
    assert found.severity == "high"


def test_placeholders_tests_and_lonely_ids_are_no_credentials(look: Looker) -> None:
    files = {
        "a.py": "TOKEN = 'gh" + "p_" + "x" * 36 + "'\n",
        "b.py": f"TOKEN = '{GITHUB_TOKEN}'  # example\n",
        "c.ini": f"id = {AWS_ID}\n",
        "tests/fixtures/key.pem": KEY,
        "README.md": f"`{GITHUB_TOKEN}`\n",
        "d.py": "PATTERN = '-----BEGIN RSA " + "PRIVATE KEY-----'\n",
    }
    assert look(find_credentials, files) == []


WORKFLOW = """\
on:
  {trigger}:
jobs:
  build:
    steps:
      - uses: actions/checkout@v4
        with:
          ref: ${{{{ github.event.pull_request.head.sha }}}}
      - name: greet
        run: |
          make
          echo "${{{{ {value} }}}}"
"""


def test_a_privileged_workflow_that_runs_strangers_code_is_found(look: Looker) -> None:
    text = WORKFLOW.format(trigger="pull_request_target", value="github.event.pull_request.title")
    found = look(find_workflow_risks, {".github/workflows/ci.yml": text})
    assert {finding.evidence[0].start_line for finding in found} == {8, 12}


@pytest.mark.parametrize(
    ("trigger", "value"),
    [("pull_request", "github.event.pull_request.title"), ("push", "github.event.pull_request.title")],
)
def test_a_workflow_without_rights_is_left_alone(look: Looker, trigger: str, value: str) -> None:
    assert look(find_workflow_risks, {".github/workflows/ci.yml": WORKFLOW.format(trigger=trigger, value=value)}) == []


def test_values_that_no_stranger_chooses_are_no_injection(look: Looker) -> None:
    text = WORKFLOW.format(trigger="issue_comment", value="github.event.issue.number")
    assert look(find_workflow_risks, {".github/workflows/ci.yml": text}) == []


def test_containers_without_version_or_user_are_found(look: Looker) -> None:
    found = look(find_deployment_risks, {"Dockerfile": 'FROM python:latest\nCOPY . .\nCMD ["gunicorn", "app"]\n'})
    assert [finding.title for finding in found] == [
        "The base image has no version in Dockerfile",
        "The service of a container runs as root, by Dockerfile",
    ]


@pytest.mark.parametrize(
    "text",
    [
        'FROM python:3.12\nUSER app\nCMD ["gunicorn", "app"]\n',
        "ARG V\nFROM python:${V} AS build\nRUN make\nFROM build\nUSER 1000\nENTRYPOINT node x\n",
        'FROM scratch\nCOPY a /a\nENTRYPOINT ["/a"]\n',
        "FROM gcr.io/distroless/nodejs:nonroot\nCMD server.js\n",
    ],
)
def test_careful_containers_are_left_alone(look: Looker, text: str) -> None:
    assert look(find_deployment_risks, {"Dockerfile": text}) == []


def test_open_requirements_matter_for_applications_only(look: Looker) -> None:
    files = {"requirements.txt": "flask\nredis==5.0\n", "manage.py": "x = 1\n"}
    (found,) = look(find_deployment_risks, files)
    assert found.evidence[0].quote == "flask"
    assert look(find_deployment_risks, {**files, "pyproject.toml": "[project]\n"}) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.js", "child_process.exec(`rm -r ${folder}`)\n"),
        ("a.ts", "el.innerHTML = decode(location.hash)\n"),
        ("a.js", "const o = { rejectUnauthorized: false }\n"),
        ("a.go", 'c := exec.Command("sh", "-c", fmt.Sprintf("ls %s", x))\n'),
        ("a.go", "t := tls.Config{InsecureSkipVerify: true}\n"),
        ("A.java", 'Runtime.getRuntime().exec("ls " + name);\n'),
        ("a.c", "int main(void) { char b[9]; gets(b); }\n"),
        ("a.c", 'int f(char *b) { return scanf("%s", b); }\n'),
    ],
)
def test_dangerous_forms_of_other_languages_are_found(look: Looker, path: str, text: str) -> None:
    assert len(look(find_brace_risks, {path: text})) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.js", "// child_process.exec(`rm -r ${folder}`)\n"),
        ("a.js", "child_process.exec('ls')\nregex.exec(`a${b}`)\n"),
        ("a.js", "el.innerHTML = template\nconst s = 'x.innerHTML = location.hash'\n"),
        ("a.go", "if opts.insecure {\n\tt.InsecureSkipVerify = true\n}\n"),
        ("a.go", 'exec.Command("git", "log")\n'),
        ("a.c", "/* gets(b); */ fgets(b, 9, stdin); widgets(b);\n"),
        ("a.c", 'scanf("%8s", b);\n'),
    ],
)
def test_harmless_forms_of_other_languages_are_left_alone(look: Looker, path: str, text: str) -> None:
    assert look(find_brace_risks, {path: text}) == []
