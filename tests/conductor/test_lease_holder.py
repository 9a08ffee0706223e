"""A conductor that was killed and started again takes its own lease over at once; a copy of its folder elsewhere does not."""

import shutil
from pathlib import Path

from conductor.lease.holder import FILE_NAME, read_holder


def test_the_name_is_that_of_the_folder_in_one_boot(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    name = read_holder(one, "boot 1")

    assert read_holder(one, "boot 1") == name
    others = {read_holder(two, "boot 1"), read_holder(one, "boot 2"), read_holder(one, ""), read_holder(one, "")}
    assert len(others | {name}) == 5
    shutil.copy(one / FILE_NAME, two / FILE_NAME)
    assert read_holder(two, "boot of another machine") != name
