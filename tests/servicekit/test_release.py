"""Reads the release's number as `importlib.metadata` does, without loading that into a service."""

import subprocess
import sys
from importlib.metadata import version

import pytest

from servicekit.release import DISTRIBUTION, release_number


def test_the_number_is_the_installed_one() -> None:
    assert release_number() == version(DISTRIBUTION)


def test_a_number_is_found_where_no_folder_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servicekit.release._FOLDER", "no such folder")
    release_number.cache_clear()
    assert release_number() == version(DISTRIBUTION)
    release_number.cache_clear()


@pytest.mark.processes
@pytest.mark.parametrize("package", ["conductor", "agenthost"])
def test_a_service_loads_no_parser_of_mail_for_it(package: str) -> None:
    """Keeps goal 5: an idle service is 2 MB smaller without."""
    program = f"""
import sys
from servicekit.calls.descriptors import DescriptorLibrary
from servicekit.release import release_number
import {package}.app
release_number(), DescriptorLibrary.load({package!r})
print([name for name in ("importlib.metadata", "email", "zipfile") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
