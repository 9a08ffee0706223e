"""Places of control groups. The second version's rules are tried on plain folders: this machine may have the first."""

import os
import signal
from pathlib import Path

import pytest

from agenthost.core.sandbox.control_groups import Version
from agenthost.sandbox.cgroups import find_cgroups, sweep
from tests.agenthost.host_process import client_of, serving
from tests.agenthost.running_host import sandbox_tree
from tests.kit.processes import are_gone
from tests.kit.waiting import until

pytestmark = pytest.mark.processes


def second_version(root: Path, procs: str) -> Path:
    base = root / "system.slice" / "agenthost.service"
    (base / "daemon").mkdir(parents=True)
    (root / "cgroup.controllers").write_text("memory pids")
    (base / "cgroup.procs").write_text(procs)
    own = root / "own"
    own.write_text("0::/system.slice/agenthost.service\n")
    return own


def test_a_group_that_others_are_in_is_not_divided(tmp_path: Path) -> None:
    own = second_version(tmp_path, f"1\n{os.getpid()}\n")
    assert find_cgroups(tmp_path / "data", tmp_path, own) is None
    assert not (tmp_path / "system.slice" / "agenthost.service" / "cgroup.subtree_control").exists()


def test_a_delegated_group_is_divided_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = second_version(tmp_path, f"{os.getpid()}\n")
    monkeypatch.setattr("agenthost.sandbox.cgroups._can_make", lambda _: True)
    place = find_cgroups(tmp_path / "data", tmp_path, own)
    base = tmp_path / "system.slice" / "agenthost.service"

    assert place is not None
    assert (place.version, place.above) == (Version.V2, {"": base})
    assert (base / "cgroup.subtree_control").read_text() == "+memory +pids"
    assert (base / "daemon" / "cgroup.procs").read_text() == "0"


def test_a_daemon_that_was_put_into_the_leaf_uses_what_is_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = second_version(tmp_path, "")
    own.write_text("0::/system.slice/agenthost.service/daemon\n")
    monkeypatch.setattr("agenthost.sandbox.cgroups._can_make", lambda _: True)
    place = find_cgroups(tmp_path / "data", tmp_path, own)

    assert place is not None
    assert place.above == {"": tmp_path / "system.slice" / "agenthost.service"}


def test_no_controllers_mean_no_groups(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("3:cpu:/\n")
    assert find_cgroups(tmp_path / "data", tmp_path, tmp_path / "own") is None
    assert find_cgroups(tmp_path / "data", tmp_path, tmp_path / "nothing") is None


def test_groups_of_the_dead_are_swept_and_others_stay(tmp_path: Path) -> None:
    place, other = find_cgroups(tmp_path / "one"), find_cgroups(tmp_path / "two")
    if place is None or other is None:
        pytest.skip("no control group is to be had here")
    living, dead, foreign = place.name(tmp_path / "a"), place.name(tmp_path / "b"), other.name(tmp_path / "b")
    made = [above / name for above in place.above.values() for name in (living, dead, foreign)]
    for group in made:
        group.mkdir()
    try:
        assert sweep(place, lambda: [tmp_path / "a"]) == (len(place.above), 0)
        assert [group.name for group in made if group.exists()] == [living, foreign] * len(place.above)
    finally:
        for group in made:
            if group.exists():
                group.rmdir()


@pytest.mark.long
async def test_a_host_sweeps_what_its_predecessor_left(short_path: Path, repository: Path) -> None:
    """Keeps D6: daemon and shim were both killed."""
    data, listen = short_path / "data", f"unix:{short_path}/s"
    place = find_cgroups(data)
    if place is None:
        pytest.skip("no control group is to be had here")
    async with serving(data, listen) as host, client_of(host, data, repository) as client:
        async with client.open(start=client.start_of("say ready", "hang")) as conversation:
            await conversation.until_said("ready")
            tree = await sandbox_tree(client)
            await host.end(signal.SIGKILL)
        os.kill(tree[0], signal.SIGKILL)
        await until(lambda: are_gone(tree))
    left = [group for above in place.above.values() for group in above.glob(f"{place.prefix}*")]
    assert left
    async with serving(data, listen):
        assert not any(group.exists() for group in left)
