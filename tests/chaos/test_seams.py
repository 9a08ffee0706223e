"""The seams of the services at which fuses and mistakes are put are where the wrappers look for them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.crash_points import LEAST_STREAMS, Fuse

pytestmark = pytest.mark.processes

# In a process of its own, because it changes the product's classes.
CONDUCTOR = """
from tests.chaos.conductor import lay_fuse
from tests.chaos.crash_points import Fuse
from tests.chaos.twins import TWINS
lay_fuse(Fuse())
[twin.mistake() for twin in TWINS.values() if not twin.is_of_the_host]
"""
HOST = """
from pathlib import Path
from tests.chaos.agenthost import lay_fuse, list_admissions
from tests.chaos.crash_points import Fuse
from tests.chaos.twins import TWINS
lay_fuse(Fuse())
list_admissions(Path("/nowhere"))
[twin.mistake() for twin in TWINS.values() if twin.is_of_the_host]
"""


def test_a_fuse_is_laid_while_its_process_lives(tmp_path: Path) -> None:
    fuse = Fuse(file=tmp_path / "fuse", point="K4", count=1)
    (tmp_path / "fuse").write_text("K5:3")

    fuse.meet("K4", LEAST_STREAMS)  # would burn
    fuse.meet("K5", LEAST_STREAMS)

    assert (fuse.point, fuse.count) == ("K5", 2)


@pytest.mark.parametrize("program", [CONDUCTOR, HOST], ids=["conductor", "agenthost"])
def test_every_seam_of_a_service_is_there(program: str) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
