"""The files that every sandbox starts with: its own /etc, homes and empty folders.

Read from the host once and then written for each sandbox. Nothing of the host's users
is in it: accounts, host names and the shell's profile are made here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.emulator.isolation.model import Network

__all__ = ["HOST_NAME", "PATH", "Owner", "Skeleton", "SkeletonFile"]

HOST_NAME = "e2b.local"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USER_ID = 1000

Owner = int

_ACCOUNTS = """\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
user:x:1000:1000::/home/user:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
_GROUP = """\
root:x:0:
daemon:x:1:
bin:x:2:
tty:x:5:
sudo:x:27:user
www-data:x:33:
users:x:100:
user:x:1000:
nogroup:x:65534:
"""
_HOSTS = f"""\
127.0.0.1 localhost {HOST_NAME}
::1 localhost ip6-localhost ip6-loopback
"""
# Debian's own profile sets PATH anew; what the caller gave must survive a login shell.
_PROFILE = f"""\
export PATH="${{PATH:-{PATH}}}"
if [ -n "${{PS1-}}" ] && [ -n "${{BASH-}}" ] && [ -f /etc/bash.bashrc ]; then
  . /etc/bash.bashrc
fi
for part in /etc/profile.d/*.sh; do
  if [ -r "$part" ]; then . "$part"; fi
done
unset part
"""
_BASHRC = """\
[ -z "${PS1-}" ] && return
PS1='\\u@\\h:\\w\\$ '
"""
_NSSWITCH = """\
passwd: files
group: files
shadow: files
hosts: files dns
services: files
protocols: files
"""
_FOLDERS: tuple[tuple[str, int, Owner], ...] = (
    ("code", 0o777, 0),
    ("dev", 0o755, 0),
    ("etc", 0o755, 0),
    ("etc/profile.d", 0o755, 0),
    ("etc/ssl", 0o755, 0),
    ("etc/ssl/certs", 0o755, 0),
    ("home", 0o755, 0),
    ("home/user", 0o755, USER_ID),
    ("media", 0o755, 0),
    ("mnt", 0o755, 0),
    ("opt", 0o755, 0),
    ("proc", 0o555, 0),
    ("root", 0o700, 0),
    ("run", 0o755, 0),
    ("run/e2b", 0o755, 0),
    ("run/e2b/agent", 0o755, 0),
    ("run/lock", 0o1777, 0),
    ("srv", 0o755, 0),
    ("sys", 0o555, 0),
    ("tmp", 0o1777, 0),
    ("usr", 0o755, 0),
    ("var", 0o755, 0),
    ("var/cache", 0o755, 0),
    ("var/lib", 0o755, 0),
    ("var/log", 0o755, 0),
    ("var/tmp", 0o1777, 0),
)
_COPIED = (
    "etc/ssl/openssl.cnf",
    "etc/mime.types",
    "etc/protocols",
    "etc/services",
    "etc/ld.so.cache",
    "etc/ld.so.conf",
    "etc/inputrc",
    "etc/magic",
)
_CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkeletonFile:
    """A file or link to make.

    Attributes:
        path: below the sandbox's root.
        data: its bytes; None for a link.
        target: where a link points.
        mode: permission bits.
    """

    path: str
    data: bytes | None = None
    target: str | None = None
    mode: int = 0o644


class Skeleton:
    """Writes the first files of a sandbox.

    Args:
        mount_points: absolute folders that something is mounted on later.
        first_uid: the host's id for the sandbox's root, or None where ids cannot be given.
        one_user_id: whether every user has that one.
        network: what the sandbox can reach; decides its resolver.
        folders: more folders, parents first, for everybody to write to.
        files: more files.
    """

    def __init__(
        self,
        *,
        mount_points: list[str],
        first_uid: int | None,
        one_user_id: bool,
        network: Network,
        folders: Sequence[str] = (),
        files: Sequence[SkeletonFile] = (),
    ) -> None:
        self._first_uid = first_uid
        self._one_user_id = one_user_id
        self._files = (*_generated(network), *_copied(), *files)
        self._folders = [*_FOLDERS, *_parents(mount_points), *((one, 0o777, 0) for one in folders)]
        if any(point.startswith("/root/") for point in mount_points):
            # The interpreter lies below the host's /root; `user` must get through.
            self._folders = [
                (path, 0o711 if path == "root" else mode, owner)
                for path, mode, owner in self._folders
            ]

    def write(self, root: Path) -> None:
        """Makes the tree; `root` itself is made too."""
        top = str(root)
        os.mkdir(top)  # noqa: PTH102 - this runs for every create; strings are measurably faster
        self._give(top, 0)
        for path, mode, owner in self._folders:
            folder = f"{top}/{path}"
            os.mkdir(folder)  # noqa: PTH102
            os.chmod(folder, mode)  # noqa: PTH101
            self._give(folder, owner)
        for file in self._files:
            self._write_file(top, file)
        os.chmod(top, 0o755)  # noqa: PTH101, S103 - what every / has

    def _write_file(self, top: str, file: SkeletonFile) -> None:
        path = f"{top}/{file.path}"
        if file.target is not None:
            os.symlink(file.target, path)  # noqa: PTH211
        else:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode)
            try:
                os.write(fd, file.data or b"")
                os.fchmod(fd, file.mode)
            finally:
                os.close(fd)
        self._give(path, 0)

    def _give(self, path: str, owner: Owner) -> None:
        if self._first_uid is not None:
            number = self._first_uid + (0 if self._one_user_id else owner)
            os.lchown(path, number, number)


def _generated(network: Network) -> list[SkeletonFile]:
    texts = {
        "etc/passwd": _ACCOUNTS,
        "etc/group": _GROUP,
        "etc/hosts": _HOSTS,
        "etc/hostname": f"{HOST_NAME}\n",
        "etc/profile": _PROFILE,
        "etc/bash.bashrc": _BASHRC,
        "etc/nsswitch.conf": _NSSWITCH,
        "etc/environment": "",
        "etc/resolv.conf": _resolver(network),
    }
    files = [SkeletonFile(path=path, data=text.encode()) for path, text in texts.items()]
    links = {"etc/mtab": "/proc/self/mounts", "etc/os-release": "../usr/lib/os-release"}
    links |= {"var/run": "/run", "var/lock": "/run/lock"}
    files += [SkeletonFile(path=path, target=target) for path, target in links.items()]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        host = Path("/") / name
        if host.is_symlink():
            files.append(SkeletonFile(path=name, target=str(host.readlink())))
    return files


def _resolver(network: Network) -> str:
    if network is Network.HOST:
        host = Path("/etc/resolv.conf")
        return host.read_text(encoding="utf-8") if host.is_file() else ""
    # Refused at once; an address that swallows packets would cost each look-up its timeout.
    return "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"


def _copied() -> list[SkeletonFile]:
    files = []
    for path in _COPIED:
        host = Path("/") / path
        if host.is_file() and os.access(host, os.R_OK):
            files.append(SkeletonFile(path=path, data=host.read_bytes()))
    localtime = Path("/etc/localtime")
    if localtime.is_symlink():
        files.append(SkeletonFile(path="etc/localtime", target=str(localtime.readlink())))
    for bundle in map(Path, _CA_BUNDLES):
        if bundle.is_file():
            data = bundle.read_bytes()
            files.append(SkeletonFile(path="etc/ssl/certs/ca-certificates.crt", data=data))
            files.append(SkeletonFile(path="etc/ssl/cert.pem", target="certs/ca-certificates.crt"))
            break
    return files


def _parents(mount_points: list[str]) -> list[tuple[str, int, Owner]]:
    known = {path for path, _, _ in _FOLDERS}
    missing: dict[str, None] = {}
    for point in mount_points:
        parts = point.strip("/").split("/")
        for count in range(1, len(parts) + 1):
            path = "/".join(parts[:count])
            if path not in known:
                missing[path] = None
    return [(path, 0o755, 0) for path in sorted(missing)]
