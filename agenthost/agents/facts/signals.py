"""Scan `signals`: small facts by which a flow chooses who looks at the code.

They are about what the run is about: in a diff about the changed files, else about all files, or those below the paths. A signal of
the kind "there is" says that names or words of that kind stand there, not that something is wrong.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from ..files import is_code, is_test
from .subject import Subject, count_lines

MAX_READ_FILES = 4000
MAX_LINE_CHARACTERS = 400

_BY_NAME: Mapping[str, re.Pattern[str]] = {
    "migrations": re.compile(r"(^|/)(migrations?|alembic|flyway|liquibase)/", re.IGNORECASE),
    "ci": re.compile(r"^\.github/workflows/|^\.gitlab-ci|^\.circleci/|^\.travis|^azure-pipelines|(^|/)Jenkinsfile"),
    "containers": re.compile(r"(^|/)(Dockerfile|Containerfile|docker-compose|compose\.ya?ml)[^/]*$"),
    "infrastructure": re.compile(r"\.(tf|tfvars|bicep)$|(^|/)(helm|charts|k8s|kubernetes|terraform|ansible)/"),
    "frontend": re.compile(r"\.(jsx|tsx|vue|svelte|css|scss|html?)$"),
    "protocols": re.compile(r"\.(proto|thrift|graphql|avsc)$|(^|/)(openapi|swagger)[^/]*\.(ya?ml|json)$"),
}
_BY_WORD: Mapping[str, re.Pattern[str]] = {
    "sql": re.compile(
        r"\b(SELECT\s.{1,80}\sFROM|INSERT INTO|UPDATE\s.{1,60}\sSET|DELETE FROM|CREATE TABLE|ALTER TABLE)\b"
    ),
    "concurrency": re.compile(
        r"\b(asyncio|threading|multiprocessing|concurrent\.futures|goroutine|sync\.(Mutex|RWMutex|WaitGroup)|chan\b|go func"
        r"|Mutex|RwLock|tokio|pthread_|std::thread|std::atomic|synchronized|ExecutorService|CompletableFuture|Promise\.all"
        r"|Worker\(|await )"
    ),
    "network": re.compile(
        r"\b(requests\.|urllib|httpx|aiohttp|http\.(client|server|Get|ListenAndServe|createServer)|net\.(Dial|Listen)|axios"
        r"|fetch\(|socket\.|grpc|reqwest|HttpClient|WebSocket|okhttp)"
    ),
    "crypto": re.compile(
        r"\b(hashlib|hmac|cryptography\.|crypto/|crypto\.(create|random|subtle)|bcrypt|argon2|scrypt|openssl|OpenSSL|AES|RSA"
        r"|javax\.crypto|MessageDigest|libsodium|nacl\b|ring::)"
    ),
    "auth": re.compile(
        r"\b(authenticat|authoriz|oauth|OAuth|jwt|JWT|passw(or)?d|session_?(id|token)|api_?key|csrf|CSRF|login|permission)",
    ),
    "processes": re.compile(
        r"\b(subprocess|os\.system|child_process|exec\.Command|Runtime\.getRuntime|popen|execve)\b"
    ),
    "files_written": re.compile(
        r"\b(open\([^)]*['\"][wax]|write_(text|bytes)\(|os\.(remove|rename|unlink|Create|WriteFile)|shutil\.|fs\.(write|unlink)"
        r"|FileOutputStream|FileWriter|ofstream)"
    ),
    "deserialization": re.compile(r"\b(pickle|yaml\.load|marshal\.loads|ObjectInputStream|unserialize\(|jsonpickle)\b"),
}
_DOCUMENTS = frozenset({".md", ".rst", ".adoc", ".txt"})


def scan_signals(subject: Subject) -> dict[str, Any]:
    """Returns the signals."""
    paths = subject.in_scope
    sources = [path for path in paths if is_code(path) or path.endswith((".sql", ".sh"))]
    tests = [path for path in sources if is_test(path)]
    documents = [path for path in paths if PurePosixPath(path).suffix.lower() in _DOCUMENTS]
    lines, found = _read(subject, sources)
    named = {name for name, pattern in _BY_NAME.items() if any(map(pattern.search, paths))}
    return {
        "files": len(paths),
        "source_files": len(sources),
        "test_files": len(tests),
        "lines": lines,
        "changed_files": len(subject.changes) + subject.changes_left_out,
        "changed_lines": sum(change.added + change.removed for change in subject.changes),
        "docs_share": round(len(documents) / max(1, len(paths)), 3),
        "test_share": round(len(tests) / max(1, len(sources)), 3),
        "tests": bool(tests),
        "docs": bool(documents),
        **{name: name in named for name in _BY_NAME},
        **{name: name in found for name in _BY_WORD},
    }


def _read(subject: Subject, sources: list[str]) -> tuple[int, set[str]]:
    if len(sources) > MAX_READ_FILES:
        subject.miss(f"signals: {len(sources) - MAX_READ_FILES} of {len(sources)} source files were not read.")
    lines, found = 0, set[str]()
    for path in sources[:MAX_READ_FILES]:
        if path.endswith(".sql"):
            found.add("sql")
        source = subject.read(path)
        if source is None:
            continue
        lines += count_lines(source)
        # What tests do says nothing of what the product does.
        if not is_test(path):
            found.update(_words_in(source.lines, found))
    return lines, found


def _words_in(lines: tuple[str, ...], known: set[str]) -> Iterator[str]:
    wanted = {name: pattern for name, pattern in _BY_WORD.items() if name not in known}
    for line in lines if wanted else ():
        for name in [name for name, pattern in wanted.items() if pattern.search(line[:MAX_LINE_CHARACTERS])]:
            del wanted[name]
            yield name
