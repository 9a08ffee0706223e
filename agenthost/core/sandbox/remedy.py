"""Explains why a machine forbids sandboxes, and what its owner can do. Pure: the settings are arguments."""

import re
from collections.abc import Mapping

# The kernel settings that answer it.
SETTINGS = (
    "/proc/sys/user/max_user_namespaces",
    "/proc/sys/kernel/unprivileged_userns_clone",
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
)
_MAXIMUM, _CLONE, _APPARMOR = SETTINGS
_FORBIDDEN = ("No permissions to creat", "reating new namespace failed", "Operation not permitted")
_MASKED_PROC = "Can't mount proc"
_MOUNT_DENIED = re.compile(r"(make / slave|mount).*Permission denied")  # AppArmor's error; seccomp profiles give EPERM
_SECCOMP = (
    "This is a container, and its seccomp profile forbids namespaces: run it with --security-opt seccomp=unconfined, or a "
    "profile that allows clone, unshare, mount, pivot_root and setns (Kubernetes: seccompProfile Unconfined)."
)
_APPARMOR_IN_CONTAINER = (
    "This is a container, and its AppArmor profile forbids mount: run it with --security-opt apparmor=unconfined "
    "(Kubernetes: appArmorProfile Unconfined)."
)
_MASKED_IN_CONTAINER = (
    "This is a container, and parts of its /proc are masked: run it with --security-opt systempaths=unconfined "
    "(Kubernetes: procMount Unmasked, with hostUsers false)."
)
_MASKED = "Mounts cover parts of /proc here: start the host without them (systemd: without ProtectKernelTunables)."
_UNKNOWN = "Unprivileged user namespaces are forbidden here: look for a security module or a seccomp filter."


def explain(complaint: str, settings: Mapping[str, str], *, in_container: bool) -> str:
    """Returns bubblewrap's complaint with the setting that stands in the way, and how to change it."""
    remedy = _remedy(complaint, settings, in_container=in_container)
    return f"{complaint.rstrip('.')}. {remedy}" if remedy else complaint


def _remedy(complaint: str, settings: Mapping[str, str], *, in_container: bool) -> str:
    if settings.get(_MAXIMUM) == "0":
        return f"{_MAXIMUM} is 0: set it to 15000 or so (sysctl user.max_user_namespaces=15000)."
    if settings.get(_CLONE) == "0":
        return f"{_CLONE} is 0: set it to 1 (sysctl kernel.unprivileged_userns_clone=1)."
    if certain := _certain(complaint, in_container=in_container):
        return certain
    if not any(words in complaint for words in _FORBIDDEN):
        return ""
    if settings.get(_APPARMOR) == "1":
        return (
            f"{_APPARMOR} is 1: give bwrap an AppArmor profile with the rule 'userns,' "
            "(the package apparmor-profiles has bwrap-userns-restrict), or set it to 0."
        )
    return _SECCOMP if in_container else _UNKNOWN


def _certain(complaint: str, *, in_container: bool) -> str:
    """Returns the remedy where the complaint alone tells the setting; else an empty text."""
    if _MASKED_PROC in complaint:
        return _MASKED_IN_CONTAINER if in_container else _MASKED
    return _APPARMOR_IN_CONTAINER if in_container and _MOUNT_DENIED.search(complaint) else ""
