"""Puts a fork of the zygote into a sandbox of its own: namespaces, mounts, ids, limits.

The same walls as bubblewrap's, from a view that bubblewrap has made once for all sandboxes
of a kind: what is read-only there is locked by the kernel as soon as a fork has a user
namespace below it, so that no root inside can remount it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import struct

from .lean import signal, socket

TYPE_CHECKING = False  # typing's own costs every start of an agent its import
if TYPE_CHECKING:
    from .frames import Json

__all__ = ["die_with_parent", "map_range", "map_self", "raise_walls", "unshare"]

_CLONE_NEWNS, _CLONE_NEWCGROUP, _CLONE_NEWUTS = 0x20000, 0x2000000, 0x4000000
_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWPID = 0x8000000, 0x10000000, 0x20000000
_CLONE_NEWNET = 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 0x1, 0x2, 0x4, 0x8, 0x20
_MS_BIND, _MS_REC, _MS_PRIVATE, _MS_STRICTATIME = 0x1000, 0x4000, 0x40000, 0x1000000
_MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_AF_INET, _SOCK_DGRAM = 2, 2
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_INTERFACE = struct.Struct("16sh14x")
_SYS_PIVOT_ROOT = {"x86_64": 155}.get(os.uname().machine, 41)  # 41: the table of newer machines
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "fd": "/proc/self/fd",
    "core": "/proc/kcore",
    "ptmx": "pts/ptmx",
}
_OF_THE_HOST = ("sys", "sysrq-trigger", "irq", "bus")  # below /proc

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(*, network: bool) -> None:
    """Leaves every namespace; of processes, the next child does.

    Args:
        network: whether that of the network, too.
    """
    flags = _CLONE_NEWUSER | _CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWIPC | _CLONE_NEWUTS
    if os.path.exists("/proc/self/ns/cgroup"):
        flags |= _CLONE_NEWCGROUP
    _check(_libc.unshare(flags | (_CLONE_NEWNET if network else 0)), "unshare")


def map_self() -> None:
    """Has this process's only id be the 0 of the namespace that it just made."""
    _write("/proc/self/setgroups", b"deny")
    _write("/proc/self/uid_map", b"0 0 1")
    _write("/proc/self/gid_map", b"0 0 1")


def map_range(pid: int, first: int, count: int) -> None:
    """Gives another process's new namespace a range of this one's ids."""
    for name in ("uid_map", "gid_map"):
        _write(f"/proc/{pid}/{name}", f"0 {first} {count}".encode())


def raise_walls(plan: Json, folder: str) -> None:
    """Makes this process, the first of its namespaces, the root of a sandbox's files alone.

    Args:
        plan: "sandboxes" and "sandboxes_read_only" (where the zygote sees their folders),
            "binds" (what a sandbox sees of the zygote's view), "own" (what it has of its own
            below those), "ids", "network", "host_name" and "limits", as `isolation.bubblewrap`
            wrote them.
        folder: the sandbox's, below those.
    """
    _check(_libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None), "private /")
    root = f"{plan['sandboxes']}/{folder}/root"
    _bind(root, root)
    os.chdir(root)
    own = {target: os.open(target, os.O_PATH | os.O_CLOEXEC) for target in plan["own"]}
    for target in plan["binds"]:
        _bind(target, target[1:])
    for target, fd in own.items():  # what the binds cover by now
        _bind(f"/proc/self/fd/{fd}", target)
        os.close(fd)
    _mount("proc", "proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    # Of the read-only view, since a root inside could undo what is made read-only only here.
    boot_id = f"{plan['sandboxes_read_only']}/{folder}/boot_id"
    _bind(boot_id, "proc/sys/kernel/random/boot_id")
    if plan["ids"] == "given":  # from here on the folder cannot be entered by its name
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    for name in _OF_THE_HOST:
        if os.access(f"proc/{name}", os.W_OK):
            _bind(f"proc/{name}", f"proc/{name}")
            _make_read_only(f"proc/{name}")
    _make_devices()
    _check(_libc.syscall(_SYS_PIVOT_ROOT, b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _MNT_DETACH), "umount of the view")
    os.chdir("/")
    name = plan["host_name"].encode()
    _check(_libc.sethostname(name, ctypes.c_size_t(len(name))), "sethostname")
    if plan["network"] == "none":
        _raise_loopback()
    for limit, value in plan["limits"].items():
        number = getattr(resource, limit)
        hard = resource.getrlimit(number)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (bound, bound))


def die_with_parent() -> None:
    """Has the kernel kill this process at the end of its parent; after every change of ids."""
    # Changing ids made it undumpable, and its own /proc/self another's.
    _check(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl(PR_SET_DUMPABLE)")
    _check(_libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def _make_devices() -> None:
    _mount("tmpfs", "dev", "tmpfs", _MS_NOSUID | _MS_STRICTATIME, "mode=0755")
    for name in _DEVICES:
        os.close(os.open(f"dev/{name}", os.O_WRONLY | os.O_CREAT, 0o666))
        _bind(f"/dev/{name}", f"dev/{name}")
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, f"dev/{name}")
    os.mkdir("dev/pts", 0o755)
    options = "newinstance,ptmxmode=0666,mode=620"
    _mount("devpts", "dev/pts", "devpts", _MS_NOSUID | _MS_NOEXEC, options)
    os.mkdir("dev/shm", 0o755)
    _mount("tmpfs", "dev/shm", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777")


def _raise_loopback() -> None:
    probe = socket(_AF_INET, _SOCK_DGRAM)
    try:
        asked = fcntl.ioctl(probe.fileno(), _SIOCGIFFLAGS, _INTERFACE.pack(b"lo", 0))
        flags = _INTERFACE.unpack(asked)[1]
        fcntl.ioctl(probe.fileno(), _SIOCSIFFLAGS, _INTERFACE.pack(b"lo", flags | _IFF_UP))
    finally:
        probe.close()


def _bind(source: str, target: str) -> None:
    _mount(source, target, "", _MS_BIND | _MS_REC)


def _make_read_only(target: str) -> None:
    # What the mount below forbids is locked, and must be asked for again.
    locked = os.statvfs(target).f_flag & (_MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    _mount("", target, "", _MS_REMOUNT | _MS_BIND | _MS_RDONLY | locked)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    words = [os.fsencode(text) for text in (source, target, kind)]
    _check(_libc.mount(*words, ctypes.c_ulong(flags), data.encode()), f"mount of /{target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _write(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
