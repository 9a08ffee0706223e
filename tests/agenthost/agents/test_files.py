import pytest

from agenthost.agents import files


@pytest.mark.parametrize(
    ("path", "first_line", "kind"),
    [
        ("a/main.py", "", "Python"),
        ("a/View.TSX", "", "TypeScript"),
        ("build.gradle.kts", "", "Kotlin"),
        ("deploy.sh", "", "Shell"),
        ("bin/run", "#!/usr/bin/env -S bash -e", "Shell"),
        ("bin/run", "#! /bin/sh", "Shell"),
        ("bin/tool", "#!/usr/local/bin/python3.11 -u", "Python"),
        ("bin/tool", "#!/opt/own/thing", ""),
        ("Dockerfile", "", "Dockerfile"),
        ("prod.Dockerfile", "", "Dockerfile"),
        ("images/dockerfile.dev", "", "Dockerfile"),
        ("Dockerfile-alpine", "", "Dockerfile"),
        ("Containerfile", "", "Dockerfile"),
        ("Dockerfile.dockerignore", "", ".dockerignore"),
        ("dockerfiles.md", "", "Markdown"),
        (".github/workflows/ci.yml", "", "GitHub workflow"),
        ("examples/.github/workflows/ci.yml", "", "YAML"),
        (".github/actions/set-up/action.yaml", "", "GitHub action"),
        ("GNUmakefile", "", "Makefile"),
        ("src/mod.inl", "", ".inl"),
        ("LICENSE", "", ""),
    ],
)
def test_a_name_or_a_shebang_tells_the_language(path: str, first_line: str, kind: str) -> None:
    assert files.language(path, first_line) == kind


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("src/app/main.py", "product"),
        ("tests/a.py", "test"),
        ("app/test_a.py", "test"),
        ("pkg/a_test.go", "test"),
        ("src/a.spec.ts", "test"),
        ("node/vendor/a.js", "vendored"),
        ("a.min.js", "vendored"),
        ("docs/conf.py", "example"),
        ("README.md", "nothing"),
        ("contest/latest.py", "product"),
    ],
)
def test_a_path_tells_what_a_file_is(path: str, kind: str) -> None:
    told = {
        "product": files.is_product,
        "test": files.is_test,
        "vendored": files.is_vendored,
        "example": files.is_example,
    }
    assert [name for name, judge in told.items() if judge(path)] == ([] if kind == "nothing" else [kind])
