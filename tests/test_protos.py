"""The protocols only grow: what a client or a host of f9ac01c was generated from stays. Keeps K7."""

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorSet

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[1]
BUF = Path(sys.executable).with_name("buf")
PACKAGES = ("conductor", "agenthost")


def break_with(image: Path, package: str) -> subprocess.CompletedProcess[str]:
    """Compares an image of a package with that of f9ac01c, as `./dev check` does."""
    baseline = ROOT / "protos/baseline" / f"{package}.binpb.gz"
    command = [BUF, "breaking", image, "--against", baseline, "--config", ROOT / "protos/buf.yaml"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def message(files: FileDescriptorSet, name: str) -> DescriptorProto:
    return next(each for file in files.file for each in file.message_type if each.name == name)


def remove_a_method(files: FileDescriptorSet) -> None:
    service = next(each for file in files.file for each in file.service if each.name == "RunService")
    del service.method[-1]


def remove_a_field(files: FileDescriptorSet) -> None:
    del message(files, "Run").field[-1]


def renumber_a_field(files: FileDescriptorSet) -> None:
    message(files, "Attempt").field[0].number = 99


def change_a_type(files: FileDescriptorSet) -> None:
    message(files, "Output").field[3].type = FieldDescriptorProto.TYPE_STRING


def remove_a_value(files: FileDescriptorSet) -> None:
    del message(files, "Run").enum_type[0].value[-1]


@pytest.mark.parametrize("package", PACKAGES)
def test_clients_and_hosts_of_f9ac01c_are_still_served(package: str) -> None:
    compared = break_with(ROOT / package / "v1/descriptors.binpb", package)

    assert (compared.returncode, compared.stdout) == (0, "")


@pytest.mark.parametrize("break_it", [remove_a_method, remove_a_field, renumber_a_field, change_a_type, remove_a_value])
def test_a_change_that_breaks_a_client_is_found(break_it: Callable[[FileDescriptorSet], None], tmp_path: Path) -> None:
    files = FileDescriptorSet.FromString(gzip.decompress((ROOT / "protos/baseline/conductor.binpb.gz").read_bytes()))
    break_it(files)
    broken = tmp_path / "broken.binpb"
    broken.write_bytes(files.SerializeToString())

    compared = break_with(broken, "conductor")

    assert compared.returncode == 100
    assert compared.stdout.count("\n") >= 1
