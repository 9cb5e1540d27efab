"""Linux namespaces around code that is not ours: no network, no foreign process, files outside its folders unwritable.

A user needs no rights for it, but some kernels refuse. Each level is tried by a child first; what holds is told, and
so is what does not. Standard library only.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

NEWNS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x00020000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, CLEAR_ALL = 24, 38, 47, 4
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, READ_ONLY = 442, -100, 0x8000, 1
CAPSET = {"x86_64": 126, "aarch64": 91}
CAPABILITIES = 64
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
MOST_PROCESSES = 256
WATCH_SECONDS = 0.05


@dataclass(frozen=True)
class Level:
    """One set of namespaces, and what it keeps from the code."""

    flags: int
    network: bool
    processes: bool
    files: bool


LEVELS = (
    Level(NEWUSER | NEWNET | NEWPID | NEWIPC | NEWNS, True, True, True),
    Level(NEWUSER | NEWNET | NEWPID | NEWIPC, True, True, False),
    Level(NEWUSER | NEWNET, True, False, False),
)
NONE = Level(0, False, False, False)


def report(level: Level) -> dict[str, str]:
    """What holds for the code, in words."""
    words = {
        "network": ("cut off", level.network),
        "processes": ("sees and ends its own only", level.processes),
        "files": ("writes to its own folders only, keys and tokens in the home are hidden", level.files),
    }
    refused = "not contained: this system gives no namespaces for it"
    return {name: words_ if holds else refused for name, (words_, holds) in words.items()}


def enter(writable: Sequence[Path], hidden: Sequence[Path]) -> Level:
    """Puts what the calling process does from here on into the strictest level that works on this system.

    With `processes` it answers in a new process, whose end becomes the caller's; nothing that it starts outlives it.
    """
    level = next((level for level in LEVELS if _works(level, writable, hidden)), NONE)
    _first_to_go()
    if not level.flags:
        return level
    _namespaces(level)
    if level.processes:
        _under_init(_into_child(), counts=level.files)
    _inside(level, writable, hidden)
    return level


def _works(level: Level, writable: Sequence[Path], hidden: Sequence[Path]) -> bool:
    """Tried in a child, because nothing of it can be taken back."""
    if sys.platform != "linux" or os.uname().machine not in CAPSET:
        return False
    pid = os.fork()
    if pid == 0:
        code = 1
        with suppress(BaseException):
            readable = [entry for entry in sys.path if os.access(entry, os.R_OK)]
            _namespaces(level)
            if level.processes and (child := os.fork()):
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                os._exit(code)
            _inside(level, writable, hidden)
            held = all(os.access(entry, os.R_OK) for entry in readable) and os.access(sys.executable, os.X_OK)
            code = 0 if held and all(os.access(folder, os.W_OK) for folder in writable) else 1
        os._exit(code)
    return os.waitpid(pid, 0)[1] == 0


def _namespaces(level: Level) -> None:
    user, group = os.geteuid(), os.getegid()
    _call("unshare", level.flags)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")


def _inside(level: Level, writable: Sequence[Path], hidden: Sequence[Path]) -> None:
    _loopback()
    if level.files:
        _mounts(writable, hidden)
    _drop_rights()


def _mounts(writable: Sequence[Path], hidden: Sequence[Path]) -> None:
    _mount("none", "/", "", MS_REC | MS_PRIVATE)
    for folder in writable:
        _mount(str(folder), str(folder), "", MS_BIND | MS_REC)
    _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    _attributes("/", AT_RECURSIVE, READ_ONLY, 0)
    for folder in writable:
        _attributes(str(folder), 0, 0, READ_ONLY)
    _mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "size=1g")
    for path in (*hidden, Path("/dev/pts")):
        _hide(path)
    # The folder that it stands in is the one under the new mounts.
    os.chdir(Path.cwd())


def _hide(path: Path) -> None:
    if path.is_dir():
        _mount("tmpfs", str(path), "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV)
    elif path.exists():
        _mount("/dev/null", str(path), "", MS_BIND)


def _loopback() -> None:
    """Code may talk to itself; a new network has even that switched off."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sH14x", b"lo", 0)
        _, flags = struct.unpack("16sH14x", fcntl.ioctl(probe, SIOCGIFFLAGS, request))
        fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def _drop_rights() -> None:
    """A new user namespace gives every right inside it; the code gets none, and no way to regain one."""
    for capability in range(CAPABILITIES):
        with suppress(OSError):
            _call("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)
    with suppress(OSError):
        _call("prctl", PR_CAP_AMBIENT, CLEAR_ALL, 0, 0, 0)
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _call("syscall", CAPSET[os.uname().machine], header, (ctypes.c_uint32 * 6)())


def _first_to_go() -> None:
    """When memory runs out the system ends this process, not porter."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _into_child() -> int:
    """Goes on in a new process, which tells through the pipe that it answers how its job ended; the old one waits."""
    told, teller = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(told)
        return teller
    os.close(teller)
    os.waitpid(pid, 0)
    code = os.read(told, 16)
    _end_like(int(code) if code else -signal.SIGKILL)
    raise AssertionError("unreachable")


def _under_init(teller: int, *, counts: bool) -> None:
    """The first process of the new ones reaps, counts and ends them; the job goes on in the second."""
    job = os.fork()
    if job == 0:
        os.close(teller)
        return
    while True:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == job:
            os.write(teller, str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        if counts and _running() > MOST_PROCESSES:
            os.write(2, f"ProcessError: more than {MOST_PROCESSES} processes\n".encode())
            os.write(teller, b"1")
            os._exit(0)
        if not ended:
            time.sleep(WATCH_SECONDS)


def _running() -> int:
    return sum(entry.name.isdecimal() for entry in Path("/proc").iterdir())


def _end_like(code: int) -> None:
    """Ends this process as another one ended: by its exit code, or by the signal -code."""
    if code < 0:
        with suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 1)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    _call("mount", source.encode(), target.encode(), kind.encode() or None, flags, data.encode() or None)


def _attributes(path: str, flags: int, given: int, taken: int) -> None:
    values = (ctypes.c_uint64 * 4)(given, taken, 0, 0)
    _call("syscall", MOUNT_SETATTR, AT_FDCWD, path.encode(), flags, values, ctypes.sizeof(values))


def _call(name: str, *arguments: object) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*(_as_long(argument) for argument in arguments)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def _as_long(argument: object) -> object:
    return ctypes.c_long(argument) if isinstance(argument, int) else argument
