"""Reading what is not the agent's."""

import ctypes
import os
import struct

from .table import ATTEMPTS, call, held

for secret in (
    "/etc/shadow",
    "/etc/hostname",
    "/etc/machine-id",
    "/root/.ssh",
    "/var",
    "/sys",
    "/boot",
    "/proc/kcore",
    "/proc/kmsg",
    "/dev/mem",
    "/dev/kmsg",
    "/dev/sda",
    "/dev/vda",
):
    ATTEMPTS[f"read {secret}"] = lambda _, secret=secret: (
        os.listdir(secret) if os.path.isdir(secret) else open(secret, "rb").read(1)
    )
ATTEMPTS |= {
    "read a file of the host": lambda bait: open(bait["file"]).read(),
    "read it through the first process": lambda bait: open(f"/proc/1/root{bait['file']}").read(),
    "read it through a link": lambda _: open("/workspace/link-out").read(),
    "climb out with dots": lambda bait: open(f"/workspace/{'../' * 20}{bait['file']}").read(),
    "list the host's files": lambda bait: os.listdir(bait["folder"]),
    "read the host's keys": lambda _: held(open("/proc/keys").read() == ""),
    "read the kernel's addresses": lambda _: held(open("/proc/kallsyms").read() == ""),
    "read the kernel's command line": lambda _: held(open("/proc/cmdline").read() == ""),
    "see the host's processes": lambda _: held(
        sum(name.isdigit() for name in os.listdir("/proc")) <= 4, os.listdir("/proc")
    ),
    "find a secret in an environment": lambda bait: held(bait["secret"].encode() not in b"".join(_environments())),
    "inherit a descriptor": lambda _: held(len(os.listdir("/proc/self/fd")) <= 5, os.listdir("/proc/self/fd")),
    "ask the kernel's log": lambda _: call("klogctl", 3, ctypes.create_string_buffer(100), 100),
    "name a file by handle": lambda _: call(
        "name_to_handle_at", -100, b"/workspace", HANDLE, ctypes.byref(ctypes.c_int()), 0
    ),
}


HANDLE = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 200)


def _environments() -> list[bytes]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                found.append(open(f"/proc/{name}/environ", "rb").read())
            except OSError:
                continue
    return found
