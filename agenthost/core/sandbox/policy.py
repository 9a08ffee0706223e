"""Describes an agent's confinement as data, and derives bubblewrap's arguments, limits and a digest from it.

Pure: the shim carries it out; `proof`, and the shim's look from outside, check that it holds.

An argument of the form `{name}` stands for something that only the shim knows: the path under which it can reach
a source ({tree}, {history}, {install}, {path0} ...), or the descriptor of a piece of text ({passwd}, {prompt} ...).
So arguments and digest do not depend on where this host keeps its files.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MIB = 1024 * 1024

WORKSPACE = "/workspace"
HISTORY = "/history.git"
MOUNTS = "/opt"
INSTALL = f"{MOUNTS}/agent"
HOME = "/home/agent"
PROMPT_FILE = "/run/prompt"
INNER_UID = 1000
SANDBOX_PATH = "/usr/local/bin:/usr/bin:/bin"

# An agent may write only here, all of it tmpfs of a fixed size. The shim refuses a sandbox with any other writable mount.
WRITABLE = (HOME, "/tmp", "/dev/shm")  # noqa: S108 - the sandbox's own

# Kernel files that are readable by all and tell of the host, or of keys: covered by /dev/null where they exist.
MASKABLE = (
    "/proc/keys",
    "/proc/key-users",
    "/proc/timer_list",
    "/proc/kallsyms",
    "/proc/cmdline",
    "/proc/config.gz",
    "/proc/interrupts",
    "/proc/sched_debug",
    # Any process may also have itself woken by these, with work in the kernel that others wait for.
    "/proc/pressure/cpu",
    "/proc/pressure/io",
    "/proc/pressure/irq",
    "/proc/pressure/memory",
)

# Would change what the gate itself does, before the agent is released.
FORBIDDEN_VARIABLES = frozenset({"LD_PRELOAD", "LD_AUDIT", "BASH_ENV", "ENV"})

# The agent waits here. The gate opens on a word, never on EOF: when the shim dies, nothing runs. Descriptors 8 and 9 are
# the gate's own, because stdin and stdout are the agent's. The process limit is set here because it counts per user
# namespace; dash calls it -p and bash -u, and without it nothing runs.
GATE = (
    "ulimit -u {processes} 2>/dev/null || ulimit -p {processes} 2>/dev/null || exit 125; "
    "echo READY >&8; exec 8>&-; "
    'IFS= read -r word <&9 && [ "$word" = GO ] || exit 125; exec 9<&-; '
    'exec "$@"'
)


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources that one attempt may take."""

    home_bytes: int = 256 * MIB
    tmp_bytes: int = 128 * MIB
    shm_bytes: int = 8 * MIB
    file_bytes: int = 64 * MIB
    open_files: int = 1024
    processes: int = 512  # threads count, and JavaScript runtimes have dozens
    cpu_seconds: int = 3600  # per process; the wall clock is the shim's
    data_bytes: int = (
        4096 * MIB
    )  # 0 for none: Bun reserves 70 GB. The address space is no measure (V8 reserves 20 to 50 GB)
    memory_bytes: int = 2048 * MIB  # of all processes together, what they share and what lies in tmpfs included


@dataclass(frozen=True, slots=True)
class HostLayout:
    """The differences between Linux systems, as found on this host."""

    links: tuple[tuple[str, str], ...] = (
        ("/bin", "usr/bin"),
        ("/lib", "usr/lib"),
        ("/lib64", "usr/lib64"),
        ("/sbin", "usr/sbin"),
    )
    directories: tuple[str, ...] = ()  # the same names where they are real directories
    masks: tuple[str, ...] = ()  # those of MASKABLE that this kernel has


@dataclass(frozen=True, slots=True)
class Policy:
    """The confinement of one attempt. No field could widen it beyond reading what is named here."""

    layout: HostLayout = field(default_factory=HostLayout)
    own_paths: tuple[str, ...] = ()  # read-only at their own path: a moved Python runs as another
    environment: Mapping[str, str] = field(default_factory=dict)
    syscall_filter: bytes = b""  # see `seccomp`; the shim refuses a sandbox without one
    has_history: bool = False
    has_install: bool = False
    has_prompt_file: bool = False
    mounts: tuple[str, ...] = ()  # names of further folders, read-only below /opt
    files: Mapping[str, str] = field(default_factory=dict)  # texts, by path below the home
    hidden: tuple[tuple[str, bool], ...] = ()  # names at the root of the workspace, covered; whether each is a folder
    model: str = ""  # whose endpoint is behind its network's one door; no network where empty
    resources: Resources = field(default_factory=Resources)


def bwrap_arguments(policy: Policy) -> tuple[str, ...]:
    """Returns all of bubblewrap's --args, in order: later mounts lie on earlier ones."""
    return (
        *_namespaces(),
        *_system(policy),
        *_kernel(policy),
        *_writable(policy.resources),
        *_attempt(policy),
        *_environment(policy),
    )


def command(policy: Policy, argv: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the gate with the agent's command behind it."""
    return ("/bin/sh", "-c", GATE.replace("{processes}", str(policy.resources.processes)), "gate", *argv)


def rlimits(policy: Policy) -> dict[str, int]:
    """Returns the limits by their names in the `resource` module. They are set before bubblewrap starts, and inherited inside."""
    resources = policy.resources
    values = {
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": resources.cpu_seconds,
        "RLIMIT_FSIZE": resources.file_bytes,
        "RLIMIT_NOFILE": resources.open_files,
        "RLIMIT_MEMLOCK": 65536,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_NICE": 0,
        "RLIMIT_RTPRIO": 0,
        "RLIMIT_SIGPENDING": 1024,
        "RLIMIT_STACK": 8 * MIB,
    }
    return values | ({"RLIMIT_DATA": resources.data_bytes} if resources.data_bytes else {})


def texts(policy: Policy) -> dict[str, str]:
    """Returns the small files of /etc, and those of the home. Name look-ups fail at once: there is no network to wait for."""
    return {
        **{f"file{at}": text for at, text in enumerate(policy.files.values())},
        **{f"hidden{at}": "" for at, (_, is_folder) in enumerate(policy.hidden) if not is_folder},
        # Several runtimes crash for a user without an entry.
        "passwd": f"agent:x:{INNER_UID}:{INNER_UID}:agent:{HOME}:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
        "group": f"agent:x:{INNER_UID}:\nnogroup:x:65534:\n",
        "nsswitch": "passwd: files\ngroup: files\nhosts: files\n",
        "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
        "resolv": "",
    }


def digest(policy: Policy) -> str:
    """Returns the SHA-256 of what is applied. Variables' values stay out: they may be secret, and they confine nothing."""
    arguments = bwrap_arguments(policy)
    public = ["" if at > 1 and arguments[at - 2] == "--setenv" else text for at, text in enumerate(arguments)]
    whole = json.dumps(
        [
            public,
            command(policy, ()),
            rlimits(policy),
            texts(policy),
            policy.syscall_filter.hex(),
            policy.model,
            policy.resources.memory_bytes,
        ],
        sort_keys=True,
    )
    return hashlib.sha256(whole.encode()).hexdigest()


def _namespaces() -> tuple[str, ...]:
    return (
        "--unshare-user",
        *("--uid", str(INNER_UID), "--gid", str(INNER_UID)),
        # A user namespace of its own would give an agent all capabilities over new namespaces: the kernel's widest surface.
        "--disable-userns",
        *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup"),
        *("--hostname", "sandbox"),
        "--die-with-parent",
        "--new-session",  # no controlling terminal, hence no TIOCSTI into a person's shell
        *("--cap-drop", "ALL"),
        *("--seccomp", "{filter}"),
        "--clearenv",
    )


def _system(policy: Policy) -> tuple[str, ...]:
    """Binds the programs and libraries of the machine, and of /etc only what they need to run."""
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name, target in policy.layout.links:
        arguments += ["--symlink", target, name]
    for name in policy.layout.directories:
        arguments += ["--ro-bind", name, name]
    for name in ("/etc/ssl/certs", "/etc/pki", "/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"):
        arguments += ["--ro-bind-try", name, name]
    for name, path in (
        ("passwd", "/etc/passwd"),
        ("group", "/etc/group"),
        ("nsswitch", "/etc/nsswitch.conf"),
        ("hosts", "/etc/hosts"),
        ("resolv", "/etc/resolv.conf"),
    ):
        arguments += ["--perms", "0444", "--ro-bind-data", f"{{{name}}}", path]
    for at, path in enumerate(policy.own_paths):
        arguments += ["--ro-bind", f"{{path{at}}}", path]
    return tuple(arguments)


def _kernel(policy: Policy) -> tuple[str, ...]:
    """Mounts /proc and /dev. Bubblewrap leaves /proc/sys writable for kernel uid 0, so it is always covered."""
    arguments = ["--proc", "/proc"]
    for name in ("/proc/sys", "/proc/irq", "/proc/bus", "/proc/acpi", "/proc/fs"):
        arguments += ["--ro-bind-try", name, name]
    for name in policy.layout.masks:
        arguments += ["--ro-bind", "/dev/null", name]
    # bubblewrap's /dev is a writable tmpfs of half the memory unless it is sized and sealed.
    return (
        *arguments,
        "--dev",
        "/dev",
        "--size",
        str(policy.resources.shm_bytes),
        "--tmpfs",
        "/dev/shm",  # noqa: S108
        "--remount-ro",
        "/dev",
    )


def _writable(resources: Resources) -> tuple[str, ...]:
    home = ("--perms", "0700", "--size", str(resources.home_bytes), "--tmpfs", HOME)
    return (*home, "--perms", "1777", "--size", str(resources.tmp_bytes), "--tmpfs", "/tmp")  # noqa: S108


def _attempt(policy: Policy) -> tuple[str, ...]:
    """Binds what this attempt reads; then makes the root itself, also a tmpfs, read-only."""
    arguments = ["--ro-bind", "{tree}", WORKSPACE, *_covers(policy)]
    if policy.has_history:
        arguments += ["--ro-bind", "{history}", HISTORY]
    if policy.has_install:
        arguments += ["--ro-bind", "{install}", INSTALL]
    for at, name in enumerate(policy.mounts):
        arguments += ["--ro-bind", f"{{mount{at}}}", f"{MOUNTS}/{name}"]
    for at, path in enumerate(policy.files):
        arguments += ["--perms", "0600", "--file", f"{{file{at}}}", f"{HOME}/{path}"]
    if policy.has_prompt_file:
        arguments += ["--perms", "0444", "--ro-bind-data", "{prompt}", PROMPT_FILE]
    return (*arguments, "--chdir", WORKSPACE, "--remount-ro", "/")


def _covers(policy: Policy) -> list[str]:
    """Lays something empty and read-only over what the agent shall not see."""
    arguments: list[str] = []
    for at, (name, is_folder) in enumerate(policy.hidden):
        path = f"{WORKSPACE}/{name}"
        if is_folder:
            arguments += ["--perms", "0555", "--size", "4096", "--tmpfs", path, "--remount-ro", path]
        else:
            arguments += ["--perms", "0444", "--ro-bind-data", f"{{hidden{at}}}", path]
    return arguments


def _environment(policy: Policy) -> tuple[str, ...]:
    variables = {**_BASE_ENVIRONMENT, **(_GIT_ENVIRONMENT if policy.has_history else {}), **policy.environment}
    arguments: list[str] = []
    for name, value in sorted(variables.items()):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or name in FORBIDDEN_VARIABLES or "\0" in value:
            raise ValueError(f"an agent may not have the variable {name!r}")
        arguments += ["--setenv", name, value]
    return tuple(arguments)


_BASE_ENVIRONMENT: Mapping[str, str] = {
    "PATH": SANDBOX_PATH,
    "HOME": HOME,
    "USER": "agent",
    "LOGNAME": "agent",
    "SHELL": "/bin/sh",
    "TMPDIR": "/tmp",  # noqa: S108
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "NO_COLOR": "1",
    "TZ": "UTC",
    "XDG_CONFIG_HOME": f"{HOME}/.config",
    "XDG_CACHE_HOME": f"{HOME}/.cache",
    "XDG_DATA_HOME": f"{HOME}/.local/share",
    "XDG_STATE_HOME": f"{HOME}/.local/state",
    "PYTHONDONTWRITEBYTECODE": "1",
}

# Makes git inert: whatever a repository holds, git starts no program and takes no lock. Only a configuration could name drivers
# of diffs and filters, and the one that is read is the host's. (An empty `diff.external` would make `git diff` fail.)
_GIT_SETTINGS = (
    ("safe.directory", "*"),  # the history belongs to the host's user, whom the sandbox does not know
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.pager", "cat"),
    ("core.attributesFile", "/dev/null"),
    ("protocol.allow", "never"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
)
_GIT_ENVIRONMENT: Mapping[str, str] = {
    "GIT_DIR": HISTORY,
    "GIT_WORK_TREE": WORKSPACE,
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_PAGER": "cat",
    "GIT_CONFIG_COUNT": str(len(_GIT_SETTINGS)),
    **{f"GIT_CONFIG_KEY_{at}": key for at, (key, _) in enumerate(_GIT_SETTINGS)},
    **{f"GIT_CONFIG_VALUE_{at}": value for at, (_, value) in enumerate(_GIT_SETTINGS)},
}
