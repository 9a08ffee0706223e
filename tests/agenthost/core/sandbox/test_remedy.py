import pytest

from agenthost.core.sandbox.remedy import SETTINGS, explain

COMPLAINT = "bwrap: No permissions to create new namespace, likely because the kernel does not allow non-privileged user namespaces"
FREE = {SETTINGS[0]: "15000", SETTINGS[1]: "1", SETTINGS[2]: "0"}


@pytest.mark.parametrize(
    ("settings", "in_container", "remedy"),
    [
        ({SETTINGS[0]: "0"}, False, "sysctl user.max_user_namespaces=15000"),
        ({SETTINGS[1]: "0"}, False, "sysctl kernel.unprivileged_userns_clone=1"),
        ({SETTINGS[2]: "1"}, False, "AppArmor"),
        (FREE, True, "--security-opt seccomp=unconfined"),
        (FREE, False, "a security module or a seccomp filter"),
    ],
)
def test_the_remedy_names_the_setting(settings: dict[str, str], *, in_container: bool, remedy: str) -> None:
    """Keeps E2: it says exactly which setting, and what to do."""
    text = explain(COMPLAINT, settings, in_container=in_container)
    assert text.startswith(COMPLAINT)
    assert remedy in text


def test_another_complaint_is_left_alone() -> None:
    assert explain("bwrap: Can't find source path /x", FREE, in_container=True) == "bwrap: Can't find source path /x"


@pytest.mark.parametrize(
    ("complaint", "in_container", "remedy"),
    [
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", True, "systempaths=unconfined"),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", False, "ProtectKernelTunables"),
        ("bwrap: Failed to make / slave: Permission denied", True, "apparmor=unconfined"),
        ("cannot start bubblewrap: [Errno 13] mount: Permission denied", True, "apparmor=unconfined"),
        ("bwrap: Failed to make / slave: Operation not permitted", True, "seccomp=unconfined"),
        ("cannot start bubblewrap: [Errno 1] unshare: Operation not permitted", True, "seccomp=unconfined"),
    ],
)
def test_each_rule_of_a_container_has_a_remedy_of_its_own(complaint: str, *, in_container: bool, remedy: str) -> None:
    """Keeps E2."""
    assert remedy in explain(complaint, FREE, in_container=in_container)
