"""Packs the agent host of a commit, so that its daemon can run beside a later one. See `make`.

Comments and docstrings are left out, which makes the archive a third smaller; every statement stays. Of the built-in agents, the
scripted one is packed.
"""

import ast
import re
import subprocess
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

from tests.yesterday.archive import pack

ROOT = Path(__file__).parent.parent.parent
PACKED = ("agenthost", "servicekit", "protos")
LEFT_OUT = re.compile(r"agenthost/(agents/survey.*|doctor\.py)|protos/(conductor/.*|build_hook\.py|buf\.yaml)")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


async def make(target: Path) -> None:
    """Packs the newest commit's agent host."""
    folders = [name for name in PACKED if (ROOT / name).is_dir()]
    command = ["git", "-C", str(ROOT), "archive", "HEAD", *folders]
    archive = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    with tempfile.TemporaryDirectory() as name, tarfile.open(fileobj=BytesIO(archive)) as files:
        for entry in files:
            content = files.extractfile(entry)
            if content and not LEFT_OUT.fullmatch(entry.name):
                path = Path(name, entry.name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(_bare(path, content.read()))
        pack(Path(name), target / "agenthost.tar.xz")


def _bare(path: Path, content: bytes) -> bytes:
    """Returns a file without its comments."""
    match path.suffix:
        case ".py":
            tree = ast.parse(content)
            for node in ast.walk(tree):
                if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
                    node.body = node.body[1:] or [ast.Pass()]
            return ast.unparse(tree).encode() + b"\n"
        case ".proto":
            return re.sub(rb"^\s*//.*\n", b"", content, flags=re.MULTILINE)
        case _:
            return content
