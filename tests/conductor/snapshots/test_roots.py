"""Folders that may be read. Keeps E9."""

from pathlib import Path

import pytest

from conductor.errors import ConfigurationError, InvalidRequestError, RootNotAllowedError
from conductor.snapshots.roots import WorkspaceRoots


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root" / "project").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    return tmp_path / "root"


def test_a_folder_below_a_root_and_the_root_itself_are_allowed(root: Path) -> None:
    roots = WorkspaceRoots((root.parent / "outside", root))

    assert roots.resolve(str(root / "project")) == root / "project"
    assert roots.resolve(f"{root}//project/./") == root / "project"
    assert roots.resolve(str(root)) == root


def test_without_roots_any_folder_is_allowed(root: Path) -> None:
    assert WorkspaceRoots().resolve(str(root)) == root


@pytest.mark.parametrize("path", ["/", "/proc", "/proc/self", "/sys/kernel", "/dev/fd"])
def test_the_files_of_the_kernel_are_no_workspace(path: str) -> None:
    """The environment of a process is there, with tokens."""
    with pytest.raises(InvalidRequestError, match="files of the kernel"):
        WorkspaceRoots().resolve(path)


def test_a_path_outside_is_refused_whether_it_exists_or_not(root: Path) -> None:
    roots = WorkspaceRoots((root,))
    for path in (root.parent / "outside", root.parent, Path("/"), Path("/nonexistent"), root.parent / "root-and-more"):
        with pytest.raises(RootNotAllowedError):
            roots.resolve(str(path))


@pytest.mark.parametrize("path", ["{root}/../outside", "{root}/project/../project", "{root}/..", "/../{root}"])
def test_a_path_that_goes_up_is_refused(root: Path, path: str) -> None:
    for roots in (WorkspaceRoots((root,)), WorkspaceRoots()):
        with pytest.raises(RootNotAllowedError):
            roots.resolve(path.format(root=root))


def test_a_link_out_of_the_root_is_refused_and_one_inside_is_followed(root: Path) -> None:
    (root / "out").symlink_to(root.parent / "outside")
    (root / "up").symlink_to("..")
    (root / "nowhere").symlink_to("/nonexistent")
    (root / "in").symlink_to("project")
    roots = WorkspaceRoots((root,))
    for name in ("out", "up", "up/outside", "nowhere"):
        with pytest.raises(RootNotAllowedError):
            roots.resolve(str(root / name))

    assert roots.resolve(str(root / "in")) == root / "project"


def test_a_root_that_is_a_link_may_be_used_by_both_of_its_names(root: Path) -> None:
    alias = root.parent / "alias"
    alias.symlink_to(root)
    roots = WorkspaceRoots((alias,))

    assert roots.resolve(str(alias / "project")) == root / "project"
    assert roots.resolve(str(root / "project")) == root / "project"


def test_what_is_no_absolute_path_of_a_folder_is_a_bad_field(root: Path) -> None:
    (root / "file").write_text("x")
    (root / "loop").symlink_to("loop")
    roots = WorkspaceRoots((root,))
    for path in (
        "",
        "project",
        "./project",
        "~",
        f"{root}/file",
        f"{root}/nothing",
        f"{root}/loop",
        f"{root}/a\0b",
        "/" * 5000,
    ):
        with pytest.raises(InvalidRequestError) as caught:
            roots.resolve(path)

        assert [violation.field for violation in caught.value.violations] == ["workspace.path"]


def test_a_root_must_be_an_absolute_folder(root: Path) -> None:
    for bad in (Path("relative"), root / "nothing"):
        with pytest.raises(ConfigurationError):
            WorkspaceRoots((bad,))


def test_a_root_that_this_machine_lacks_is_named_where_conductors_share_a_store(tmp_path: Path) -> None:
    """Keeps K15."""
    lacking = tmp_path / "mounted elsewhere"
    with pytest.raises(ConfigurationError):
        WorkspaceRoots((lacking,))

    with pytest.raises(InvalidRequestError, match=f"can see: {lacking} is not on this machine"):
        WorkspaceRoots((lacking,), may_lack=True).resolve(str(lacking / "project"))
