"""A second look at results: what is no fault is not told, as a name that is defined after all; some have a rule of their own."""

import time
from pathlib import Path

import pytest

from agenthost.agents.analyzer.doubts import kind_of, why_not
from agenthost.agents.analyzer.doubts.names import is_doubtful
from agenthost.agents.analyzer.results import Result


@pytest.mark.parametrize(
    ("name", "line", "text", "doubted"),
    [
        ("traceback", 2, "try:\n    traceback.print_exc()\n", False),
        ("helper", 2, "import a\nvalue = helper(1)\n", False),
        ("unicode", 2, "if PY2:\n    text = unicode(text)\n", True),
        ("Tuple", 1, "def f() -> 'Tuple[int]':\n    pass\n", True),
        ("Later", 2, "def f(\n    value: Later,\n): ...\n", True),
        ("Later", 1, "items: list[Later] = []\n", True),
        ("Later", 1, "x = Later()\nclass Later: ...\n", True),
        ("walk", 2, "def f():\n    walk()\n    del walk, other\n", True),
        ("headers", 2, "def f():\n    send(headers)\n    headers = {}\n", False),
        ("headers", 3, "def f():\n    headers = {}\n    send(headers)\n", True),
        ("headers", 2, "def f():\n    send(headers)\nheaders = {}\n", True),
        ("oops", 1, "oops  # type: ignore[name-defined]\n", True),
        ("made", 2, "exec(text)\nmade()\n", True),
        ("made", 2, "from a import *\nmade()\n", True),
        ("some", 1, "config = some.Structure(1)\n", False),
        ("some", 1, "config = some.Structure(1)\n" * 1000, True),
    ],
)
def test_an_undefined_name_is_told_where_it_is_certain(name: str, line: int, text: str, doubted: bool) -> None:  # noqa: FBT001 - a table
    assert is_doubtful("F821", f"Undefined name `{name}`", text.encode(), line) is doubted


@pytest.mark.parametrize(
    ("text", "line", "kind"),
    [
        ("if TYPE_CHECKING:\n    import a\n\n    T = TypeVar('T')\n", 4, "F821/unrun"),
        ("if typing.TYPE_CHECKING:\n    if b:\n        T = TypeVar('T')\nexec(c)\n", 3, "F821/unrun"),
        ("if TYPE_CHECKING:\n    import a\nelse:\n    T = TypeVar('T')\n", 4, "F821"),
        ("if TYPE_CHECKING:\n    import a\nT = TypeVar('T')\n", 3, "F821"),
    ],
)
def test_an_undefined_name_that_only_type_checkers_read_is_told_apart(text: str, line: int, kind: str) -> None:
    undefined = Result("F821", "", "Undefined name `TypeVar`", "a.py", line)
    assert not why_not("F821", undefined, text.encode())
    assert kind_of("F821", undefined, text.encode()) == kind


def test_a_local_variable_in_an_annotation_is_not_read() -> None:
    message = "Local variable `x509` referenced before assignment"
    assert is_doubtful("F823", message, b"certs: list[x509.Certificate] = []\n", 1)
    assert not is_doubtful("F823", message, b"challenge = x509.parse(a)\nx509 = 1\n", 1)


def test_other_rules_are_not_doubted() -> None:
    assert not is_doubtful("F523", "`.format` call has unused arguments", b"from a import *\n", 1)


@pytest.mark.parametrize(
    ("script", "left_out"),
    [
        ("- run: npm i image-size@7.2.3 --ignore-scripts", True),
        ("- run: pnpm add typescript@${{ matrix.typescript }} -w", True),
        ("- run: gem install --no-document minitest:5.14.2 rubocop:1.0.0", True),
        ("- run: npm ci", True),
        ('RUN npm install --prefix "$HOME/.nvm/"', True),
        ("- run: npm install -g npm@latest", False),
        ("- run: npm install -g @scope/intent", False),
        ("- run: npm ci && npm i -g tool", False),
        ("RUN npm install -g a@1 \\\n  b", False),
        ("- run: |\n    yarn add a@1\n    yarn add @b/c -W\n", False),
        ("- run: |\n    yarn add a@1\n- run: yarn add b\n", True),
    ],
)
def test_packages_in_given_versions_are_not_told(script: str, left_out: bool) -> None:  # noqa: FBT001 - a table
    rule = "adhoc-packages"
    assert bool(why_not(rule, Result(rule, "", "", "ci.yml", 1), script.encode())) is left_out


@pytest.mark.parametrize(
    ("rule", "path", "line", "left_out"),
    [
        ("DL3006", "Dockerfile", "FROM gcr.io/distroless/static", True),
        ("DL3006", ".devcontainer/Dockerfile", "FROM own/tools", True),
        ("DL3006", "Dockerfile", "FROM debian", False),
        ("DL3002", "demos/a/Dockerfile", "USER root", True),
        ("DL3002", "a/Dockerfile", "USER root", False),
        ("S113", "contrib/a.py", "requests.get(a)", True),
        ("java-swallows-interrupt", "samples/a/B.java", "catch (InterruptedException e) {}", True),
        ("S113", "shop/a.py", "requests.get(a)", False),
        ("shell-installs-branch", "tox.ini", "a-main: git+https://a/b@main", True),
        (
            "shell-installs-branch",
            "noxfile.py",
            "def canary(session): session.run('pip', 'install', 'git+https://a/b')",
            True,
        ),
        ("shell-installs-branch", "tox.ini", "deps = git+https://a/b@main", False),
        ("go-server-without-timeout", "a.go", "s := http.Server{a: b} // #nosec G112", True),
        ("go-server-without-timeout", "a.go", "s := http.Server{a: b} //nolint:gosec", True),
        ("go-server-without-timeout", "a.go", "s := http.Server{a: b} //nolint", True),
        ("go-server-without-timeout", "a.go", "s := http.Server{a: b} //nolint:lll", False),
        ("shell-installs-branch", "Dockerfile", "pip install git+https://a/b", False),
        ("typo", "examples/a/README.md", "offical", True),
        ("typo", "docs/releases/v1.rst", "offical", True),
        ("typo", "docs/a.md", "offical", False),
        ("typo", "docs/rfc6455.txt", "offical", True),
        ("typo", "LICENSE-MIT", "offical", True),
        ("typo", "docs/license.md", "offical", True),
        ("typo", "docs/licensing.md", "offical", False),
        ("typo", "docs/rfcs/our-plan.md", "offical", False),
        ("typo", "docs/http.txt", "\n\nNetwork Working Group    J. Postel\noffical", True),
        ("typo", "docs/http.md", "As the Network Working Group says: offical", False),
        ("compose-docker-socket-latest", ".examples/compose.yml", "image: a/b", True),
        ("shell-keeps-error-page", "Dockerfile", "RUN curl -O a && curl -O a.sig \\\n && gpg --verify a.sig a", True),
        ("shell-keeps-error-page", "Dockerfile", "RUN curl -O a\nRUN gpg --verify b.sig b", False),
        ("unpinned-uses", "ci.yml", "uses: own/shared/.github/workflows/a.yml@main", True),
        ("unpinned-uses", "ci.yml", "uses: google/oss-fuzz/infra/cifuzz/actions/run_fuzzers@master", True),
        ("unpinned-uses", "ci.yml", "uses: other/tool@v1\nuses: own/shared/.github/workflows/a.yml@main", False),
    ],
)
def test_what_is_an_exception_by_its_line_or_its_folder_is_not_told(
    rule: str,
    path: str,
    line: str,
    left_out: bool,  # noqa: FBT001 - a table
) -> None:
    assert bool(why_not(rule, Result(rule, "", "", path, 1), line.encode())) is left_out


@pytest.mark.parametrize(
    ("code", "left_out"),
    [
        ("add(excluder);\nexcluder.go();", True),
        ("Excluder.get().addExcluder(\n  excluder)", True),
        ("excluder();", False),
    ],
)
def test_a_word_of_a_comment_that_the_code_has_too_is_a_name(code: str, left_out: bool) -> None:  # noqa: FBT001 - a table
    typo = Result("typo", "", "`excluder` should be `excluded`.", "a.java", 1)
    assert bool(why_not("typo", typo, f"// the excluder\n * excluder\n{code}\n".encode())) is left_out


@pytest.mark.parametrize(
    ("line", "text", "left_out"),
    [
        (3, "FROM a\nRUN b; \\\n  curl -k -o c d \\\n  && echo 1 c | sha256sum -c -\n", True),
        (4, "FROM a\nRUN gpg --verify c.sig c \\\n  # Why\n  && apk add --allow-untrusted c\n", True),
        (2, "FROM a\nRUN curl -k -o c d && shasum -a 256 -c c.sha\n", True),
        (2, "FROM a\nRUN curl -k -o c d\nRUN sha256sum -c e\n", False),
        (3, "FROM a\nRUN sha256sum -c e\nRUN curl -k -o c d\n", False),
        (2, "FROM a\nRUN curl -k -o c d \\\n  # sha256sum -c c\n  && sha256sum c\n", False),
    ],
)
def test_a_download_that_its_instruction_checks_is_not_told(line: int, text: str, left_out: bool) -> None:  # noqa: FBT001 - a table
    rule = "dockerfile-unchecked-download"
    assert bool(why_not(rule, Result(rule, "", "", "Dockerfile", line), text.encode())) is left_out


@pytest.mark.parametrize(
    ("line", "text", "left_out"),
    [
        (3, "jobs:\n  a:\n    if: false\n", False),
        (3, "jobs:\n  a:\n    if: false # the key has expired\n", True),
        (4, "jobs:\n  a:\n    # the key has expired\n    if: false\n", True),
        (4, "jobs:\n  # the key has expired\n  a:\n    if: false\n", True),
        (5, "jobs:\n  a:\n    # on Linux\n    runs-on: a\n    if: false\n", False),
        (6, "jobs:\n  a:\n    outputs: {b: c}\n    steps:\n    - run: a\n      if: false\n", True),
        (6, "jobs:\n  a:\n    name: a\n    steps:\n    - run: a\n      if: false\n", False),
        (6, "jobs:\n  a:\n    outputs: {b: c}\n    steps:\n    - run: a\n      if: false\n    - run: b\n", False),
    ],
)
def test_what_never_runs_for_a_reason_is_not_told(line: int, text: str, left_out: bool) -> None:  # noqa: FBT001 - a table
    rule = "workflow-never-runs"
    assert bool(why_not(rule, Result(rule, "", "", ".github/workflows/a.yml", line), text.encode())) is left_out


def test_an_image_past_its_end_has_a_rule_of_its_own_in_examples() -> None:
    rule = "dockerfile-image-past-its-end"
    assert kind_of(rule, Result(rule, "", "", "demos/blog/Dockerfile", 1), b"") == f"{rule}/example"
    assert kind_of(rule, Result(rule, "", "", "Dockerfile", 1), b"") == rule


def test_a_removed_runner_has_a_rule_of_its_own_in_a_job_that_others_need() -> None:
    rule, text = (
        "workflow-runner-removed",
        b"jobs:\n  a:\n    runs-on: macos-12\n  b:\n    needs: [a]\n    runs-on: macos-12\n",
    )
    assert kind_of(rule, Result(rule, "", "", ".github/workflows/a.yml", 3), text) == f"{rule}/needed"
    assert kind_of(rule, Result(rule, "", "", ".github/workflows/a.yml", 6), text) == rule


def test_the_token_of_github_in_a_script_is_not_told() -> None:
    rule, text = (
        "workflow-secret-in-script",
        "- run: |\n    a ${{ secrets.GITHUB_TOKEN }}\n    b ${{ secrets.KEY }}\n- run: c\n",
    )
    assert not why_not(rule, Result(rule, "", "", "a.yml", 1), text.encode())
    only = text.replace("KEY", "GITHUB_TOKEN")
    assert why_not(rule, Result(rule, "", "", "a.yml", 1), only.encode())


@pytest.mark.parametrize(
    ("rule", "path", "line", "text", "left_out"),
    [
        ("PGH005", "a.py", 1, "assert a.called_once\na.request_history\n", True),
        ("PGH005", "a.py", 1, "assert a.called_once\n", False),
        ("SC2309", "a.sh", 1, "[[ $a && _version -ge 400 ]]\n", True),
        ("SC2309", "a.sh", 1, "[[ 4 -lt version ]]\n", True),
        ("SC2309", "a.sh", 1, "[[ $branch -eq main ]]\n", False),
        ("no-constant-binary-expression", "a.ts", 1, "if (0 > 1) log(x)\n", True),
        ("no-constant-binary-expression", "a.ts", 1, "if ({} === x) log(x)\n", False),
        ("tangled-function", "a.rs", 3, "#[cfg(test)]\n#[inline]\npub fn mock() {\n", True),
        ("tangled-function", "a.rs", 3, "#[cfg(test)]\nmod tests {\n    fn mock() {\n", True),
        ("tangled-function", "a.rs", 3, "#[cfg(test)]\nuse a;\npub fn parse() {\n", False),
        ("tangled-function", "a.py", 2, "# cfg(test)\ndef parse():\n", False),
        ("no-throw-literal", "a.js", 1, "throw 'no a'\n", False),
        ("no-throw-literal", "a.js", 1, "throw (`no ${a}`)\n", False),
        ("no-throw-literal", "a.js", 1, "throw (0)\n", True),
        ("no-throw-literal", "a.js", 1, "throw true\n", True),
        ("valid-expect", "a.js", 1, "expect(a).to.be.extensible;\n", True),
        ("valid-expect", "a.js", 1, "expect(a)\n  .not\n  .NaN;\n", True),
        ("valid-expect", "a.js", 1, "expect(a).toBeNaN;\n", False),
        ("valid-expect", "a.js", 1, "expect(a).not.toBe;\n", False),
        ("valid-expect", "a.js", 1, "expect(a);\nb.c();\n", False),
        ("valid-expect", "a.js", 1, "expect(z.number().least).toBeNull;\n", False),
        ("valid-expect", "a.js", 1, "expect(z.number().least).to.be.null;\n", True),
        ("DL3007", ".devcontainer/Dockerfile", 1, "FROM a:latest\n", True),
        ("DL3007", "Dockerfile", 1, "FROM a:latest\n", False),
        ("DL3007", "Dockerfile", 1, 'FROM quay.io/acme/box:latest\nLABEL maintainer="The Acme Authors"\n', True),
        ("DL3007", "Dockerfile", 1, 'FROM quay.io/acme/box:latest\nLABEL maintainer="Bo"\n', False),
        ("DL3006", "Dockerfile", 1, "FROM gitpod/workspace-full\n", True),
        ("DL3006", "Dockerfile", 1, "FROM nginx\n", False),
        ("shell-keeps-error-page", "a.sh", 2, "set -e\ncurl https://a.b/c.tgz -o c.tgz\ntar xzf c.tgz\n", True),
        ("shell-keeps-error-page", "a.sh", 2, "set -e\ncurl -LO https://a.b/c.tgz\ntar xzf c.tgz\n", True),
        ("shell-keeps-error-page", "a.sh", 2, "set -e\ncurl https://a.b/c -o c\nchmod +x c\n", False),
        ("shell-keeps-error-page", "a.sh", 1, "curl https://a.b/c.tgz -o c.tgz\ntar xzf c.tgz\n", False),
        ("shell-keeps-error-page", "a.sh", 2, "set -e\ncurl https://a.b/c.tgz -o c.tgz\ntar xzf c.tgz || :\n", False),
        ("shell-pipes-download", "Dockerfile", 2, "FROM a\nRUN [ -f /i ] && /i || curl https://a.b | sh\n", True),
        ("makefile-loop-hides-failure", "Makefile", 3, "clean distclean:\n\ta\n\tfor a in b; do c $@; done\n", True),
        ("makefile-loop-hides-failure", "Makefile", 2, "install: clean\n\tfor a in b; do c $@; done\n", False),
        ("shell-pipes-download", "Dockerfile", 2, "FROM a\nRUN a || curl https://a.b | sh\n", False),
    ],
)
def test_what_an_author_means_is_no_fault(rule: str, path: str, line: int, text: str, left_out: bool) -> None:  # noqa: FBT001 - a table
    assert bool(why_not(rule, Result(rule, "", "", path, line), text.encode())) is left_out


def test_an_assertion_that_is_not_awaited_and_a_hook_in_a_function_are_less_than_the_rule_says() -> None:
    late = Result("valid-expect", "", "", "a.test.ts", 1)
    assert kind_of("valid-expect", late, b"expect(\n  a()\n).rejects.toThrow();\n") == "valid-expect/unawaited"
    assert kind_of("valid-expect", late, b"expect(a);\nexpect(b).resolves.toBe(1);\n") == "valid-expect"
    other = 'React Hook "useA" is called in function "b" that is neither a React function component nor a custom React Hook.'
    assert why_not("rules-of-hooks", Result("rules-of-hooks", "", other, "a.tsx", 1), b"useA();\n")
    assert not why_not(
        "rules-of-hooks", Result("rules-of-hooks", "", "is called conditionally.", "a.tsx", 1), b"useA();\n"
    )


@pytest.mark.parametrize(
    ("condition", "kind"),
    [
        ('[[ "$message" =~ "^docs:" ]]', "SC2076/pattern"),
        (r'[[ "$message" =~ "\[(ci skip)\]" ]]', "SC2076/pattern"),
        ('[[ $name =~ "a.*b" ]]', "SC2076/pattern"),
        ("[[ $name =~ 'end$' ]]", "SC2076/pattern"),
        ('[[ $name =~ " $word " ]]', "SC2076"),
        ('[[ $* =~ "docker-gen -watch" ]]', "SC2076"),
    ],
)
def test_a_pattern_in_quotes_has_a_rule_of_its_own(condition: str, kind: str) -> None:
    assert kind_of("SC2076", Result("SC2076", "", "", "a.sh", 1), f"if {condition}; then\n".encode()) == kind


def test_a_program_that_checks_no_certificate_is_graver_than_one_connection() -> None:
    rule = "python-context-unchecked"
    one, every = "urlopen(a, context=ssl._create_unverified_context())", "ssl._create_default_https_context = b"
    assert kind_of(rule, Result(rule, "", "", "a.py", 1), one.encode()) == f"{rule}/one"
    assert kind_of(rule, Result(rule, "", "", "a.py", 1), every.encode()) == rule


def test_a_condition_of_the_tests_is_less_grave_than_one_of_the_product() -> None:
    assert kind_of("SC2070", Result("SC2070", "", "", "test/a.sh", 1), b"") == "SC2070/of-tests"
    assert kind_of("SC2070", Result("SC2070", "", "", "a.sh", 1), b"") == "SC2070"


@pytest.mark.parametrize(
    ("job", "uses", "others", "kind"),
    [
        ("env: {A: '${{ secrets.KEY }}'}", "a/b@v1", "c/d@v1", ""),
        ("permissions: {contents: write}", "a/b@v1", "c/d@v1", ""),
        ("permissions: write-all", "a/b@v1", "c/d@v1", ""),
        ("runs-on: a", "pypa/gh-action-pypi-publish@release/v1", "c/d@v1", ""),
        ("permissions: {contents: read}", "a/publish@v1", "c/d@v1", "/light"),
        ("env: {A: '${{ secrets.GITHUB_TOKEN }}'}", "a/b@v1", "c/d@v1", "/light"),
        ("env: {A: '${{ secrets.CODECOV_TOKEN }}'}", "a/b@v1", "c/d@v1", "/light"),
        ("runs-on: a", "a/b@v1", "c/d@v1", "/light"),
        ("runs-on: a", "a/b@master", "c/d@v1", "/branch"),
        ("runs-on: a", "dtolnay/rust-toolchain@master", "c/d@v1", "/light"),
        ("runs-on: a", "a/b@v1", f"c/d@{'0' * 40}", "/slip"),
        ("runs-on: a", "a/b@master", f"c/d@{'0' * 40}", "/slip"),
        ("permissions: {packages: write}", "a/b@v1", f"c/d@{'0' * 40}", ""),
    ],
)
def test_an_action_without_a_commit_weighs_by_what_its_job_holds(
    tmp_path: Path, job: str, uses: str, others: str, kind: str
) -> None:
    head = f"on: push\njobs:\n  first:\n    {job}\n    steps:\n      - uses: {uses}\n"
    content = head + "  other:\n    env: {A: '${{ secrets.KEY }}'}\n    steps:\n      - run: a\n"
    (tmp_path / ".github/workflows").mkdir(parents=True)
    (tmp_path / ".github/workflows/b.yml").write_text(
        f"      - uses: {others}\n" * 4 + "      - uses: actions/x@v1\n" * 9
    )
    rule = "unpinned-uses"
    assert kind_of(rule, Result(rule, "", "", "a.yml", 6), content.encode(), tmp_path) == f"{rule}{kind}"


@pytest.mark.parametrize(
    ("top", "env", "script", "told"),
    [
        ("", "{B: c}", "a", True),
        ("", "{KEY: c}", "a", False),
        ("env: {KEY: c}\n", "{B: c}", "a", False),
        ("", "{B: c}", 'echo "KEY=d" >> "$GITHUB_ENV"', False),
    ],
)
def test_a_condition_is_told_that_reads_what_only_another_step_is_given(
    top: str,
    env: str,
    script: str,
    told: bool,  # noqa: FBT001 - a table
) -> None:
    step = f"      - if: env.KEY != ''\n        env: {env}\n        run: b\n"
    other = f"      - env: {{KEY: d}}\n        run: |\n          {script}\n"
    head = f"{top}jobs:\n  a:\n    steps:\n"
    result = Result("workflow-condition-on-other-env", "", "", "a.yml", head.count("\n") + 1)
    assert (why_not(result.rule, result, (head + step + other).encode()) == "") is told
    assert why_not(result.rule, result, (head + step).encode())


def test_a_branch_that_gets_a_secret_is_told_once() -> None:
    step = "      - uses: other/tool@main\n        with:\n          token: ${{ secrets.T }}\n"
    text = f"on: push\njobs:\n  a:\n    steps:\n{step}      - uses: other/tool@main\n{step.replace('main', 'v1')}"
    told = [
        why_not("unpinned-uses", Result("unpinned-uses", "", "", "a.yml", line), text.encode()) for line in (5, 8, 9)
    ]
    assert told == ["repeated", "", ""]


@pytest.mark.parametrize(
    ("rule", "line", "text", "left_out"),
    [
        ("no-invalid-fetch-options", 1, "fetch('/a', { body: b });", False),
        ("no-invalid-fetch-options", 2, "await fetch(\n  `/a/${b}`, { body });", False),
        ("no-invalid-fetch-options", 2, "fetch(new URL(a), {\n  body: b,\n});\nf(...c);", False),
        ("no-invalid-fetch-options", 2, "new Request(request, {\n  body: b,\n});", True),
        ("no-invalid-fetch-options", 2, "fetch('/a', {\n  body: b,\n  ...options,\n});", True),
        ("python-shell-command-built", 2, "command = 'uv run a'\nrun(command, shell=True)\n", True),
        ("python-shell-command-built", 4, "if a:\n    c = 'b'\nelse: c = f'{b}'\nrun(c, shell=True)\n", False),
        ("python-shell-command-built", 3, "c = 'b'\nc += a\nrun(c, shell=True)\n", False),
        ("python-shell-command-built", 1, "run(f'{b}', shell=True)\n", False),
    ],
)
def test_a_call_is_told_by_what_it_is_given(rule: str, line: int, text: str, left_out: bool) -> None:  # noqa: FBT001 - a table
    assert bool(why_not(rule, Result(rule, "", "", "a.js", line), text.encode())) is left_out


@pytest.mark.parametrize(
    ("rule", "message", "left_out"),
    [
        ("const-comparisons", "Left-hand side of `&&` operator has no effect.", True),
        ("const-comparisons", "Both sides of the logical operator are the same", False),
        ("tangled-function", "`ziplistTest` has 900 lines of code", True),
        ("tangled-function", "`test_lists` has 900 lines of code", True),
        ("tangled-function", "`latest` has 900 lines of code", False),
    ],
)
def test_what_a_message_says_may_be_no_fault(rule: str, message: str, left_out: bool) -> None:  # noqa: FBT001 - a table
    assert bool(why_not(rule, Result(rule, "", message, "a.c", 1), b"a\n")) is left_out


@pytest.mark.parametrize(
    "line", [f"cd a{' ' * 100_000}b; rm x", f"cd {' ' * 100_000}|", f"cd a\nrm {'-a ' * 100_000}|"]
)
def test_a_script_with_a_very_long_line_is_looked_at_in_no_time(line: str) -> None:
    began = time.process_time()
    kind_of("SC2164", Result("SC2164", "warning", "", "a.sh", 1, 1), line.encode())
    assert time.process_time() - began < 1
