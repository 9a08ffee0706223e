"""Generates Python, stubs and the described descriptor set from `protos/`.

`protos/conductor/v1/x.proto` becomes `conductor/v1/x_pb2.py`: proto package, folder and Python package are one, so
that nothing in the output has to be rewritten. Nothing generated is committed. `descriptors.binpb` keeps the comments:
the reflection service serves it, and `grpcurl describe` then *is* the documentation.
"""

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent
ROOT = PROTOS.parent
PACKAGES = ("conductor", "agenthost")
# Served by reflection, so that a client by hand can print the details of errors.
DESCRIBED_TOO = ("google/rpc/error_details.proto", "google/rpc/status.proto")


def generate(root: Path = ROOT) -> None:
    """Writes every generated file below `root`; raises SystemExit when protoc finds a problem."""
    includes = [f"-I{PROTOS}", f"-I{files('grpc_tools') / '_proto'}", f"-I{_common_protos()}"]
    for package in PACKAGES:
        sources = sorted(str(path) for path in (PROTOS / package / "v1").glob("*.proto"))
        outputs = [f"--python_out={root}", f"--grpc_python_out={root}"]
        if _has_stub_plugins():
            outputs += [f"--mypy_out=quiet:{root}", f"--mypy_grpc_out=quiet,async_only:{root}"]
        descriptors = root / package / "v1" / "descriptors.binpb"
        described = [f"--descriptor_set_out={descriptors}", "--include_imports", "--include_source_info"]
        _run([*includes, *outputs, *sources])
        _run([*includes, *described, *sources, *DESCRIBED_TOO])


def _run(arguments: list[str]) -> None:
    if protoc.main(["protoc", *arguments]) != 0:
        sys.exit("protoc failed: see the lines above")


def _common_protos() -> Path:
    import google.rpc  # noqa: PLC0415 - only its place is wanted

    return Path(next(iter(google.rpc.__path__))).parents[1]


def _has_stub_plugins() -> bool:
    from shutil import which  # noqa: PLC0415

    bin_folder = str(Path(sys.executable).parent)
    import os  # noqa: PLC0415

    # pip runs build hooks in an isolated environment whose scripts are not always on PATH.
    os.environ["PATH"] = os.pathsep.join([bin_folder, os.environ.get("PATH", "")])
    return which("protoc-gen-mypy") is not None


if __name__ == "__main__":
    generate()
