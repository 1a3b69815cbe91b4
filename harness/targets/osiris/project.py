"""A project folder of Osiris for one run: what is in it before, and what the run left.

Every run has its own folder, so that two runs cannot see each other's files, and
its own environment, built from nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from harness.errors import UsageError
from harness.model.run import ExecutionContext, PipelineCase
from harness.model.side import Endpoint
from harness.settings import Settings
from harness.targets.osiris.environment import OsirisEnvironment

__all__ = ["EVENTS_FILE", "PIPELINE_FILE", "Project", "child_environment", "user_variables"]

PIPELINE_FILE = "pipeline.yaml"
EVENTS_FILE = "events.jsonl"
# What Osiris itself keeps in a project. Source: osiris 0.5.7 osiris/core/fs_config.py.
_PRODUCT_FOLDERS = frozenset({"build", "run_logs", ".osiris", "aiop"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project folder, and what it held before the run.

    Attributes:
        folder: the product's project folder and working directory.
        home: the home folder of the product's process.
        before: sha256 of every file that was there before, by relative path.
    """

    folder: Path
    home: Path
    before: Mapping[str, str]

    @classmethod
    def create(cls, case: PipelineCase, context: ExecutionContext) -> Project:
        """Writes osiris.yaml, the pipeline and the case's input files.

        Raises:
            UsageError: if a file of the case lies outside the project, or the run's
                folder is used already.
        """
        folder, home = context.project_dir, context.base_path / "home"
        if folder.exists():
            raise UsageError(
                f"the run's project folder is used already: {folder}",
                expected="an execution context of its own for each run",
                next_step="make a new execution context",
            )
        folder.mkdir(parents=True)
        (home / "tmp").mkdir(parents=True, exist_ok=True)
        contract = {"version": "2.0", "filesystem": {"base_path": str(folder)}}
        (folder / "osiris.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")
        (folder / PIPELINE_FILE).write_text(case.oml, encoding="utf-8")
        for name, data in case.files.items():
            path = folder / inside(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return cls(folder=folder, home=home, before=_digests(folder))

    def newest_session(self) -> Path | None:
        """The folder of the session that Osiris began last, also while it runs; None before."""
        # Not with `glob`: it fails where Osiris removes a folder that is being looked into.
        walk = os.walk(self.folder / "run_logs")
        return max((Path(path) for path, _, names in walk if EVENTS_FILE in names), default=None)

    def copy_outputs(self, destination: Path) -> frozenset[str]:
        """Copies what the run created or changed, and nothing of the product's own folders.

        Args:
            destination: made where it is missing; what lies there is written over.

        Returns:
            The relative paths.
        """
        destination.mkdir(parents=True, exist_ok=True)
        copied = set()
        for name, digest in _digests(self.folder).items():
            if self.before.get(name) != digest:
                target = destination / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.folder / name, target)
                copied.add(name)
        return frozenset(copied)


def inside(name: str) -> PurePosixPath:
    """The name as a path inside a project.

    Raises:
        UsageError: if it is absolute or leaves the project.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise UsageError(
            f"a path outside the project: {name!r}",
            expected="a path relative to the project folder, without ..",
            next_step="correct the case",
        )
    return path


def user_variables(
    case: PipelineCase, settings: Settings, given: Mapping[str, str]
) -> dict[str, str]:
    """The variables that a user of the product would have set; the case's own win."""
    secrets = (settings.mysql_password, settings.supabase_service_role_key)
    held = {secret.name: secret.reveal() for secret in secrets if secret is not None}
    return {**held, **given, **case.env}


def child_environment(
    *,
    environment: OsirisEnvironment,
    project: Project,
    case: PipelineCase,
    settings: Settings,
    endpoint: Endpoint | None,
    given: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The whole environment of the product's process; nothing of the caller's leaks in.

    Args:
        environment: where the product is installed.
        project: the run's own folders.
        case: its variables win over the harness's own.
        settings: the secrets that the product may use.
        endpoint: its variables are added last; None on the local side.
        given: what a service that the case needs is found by.
    """
    variables = {
        "PATH": f"{environment.python.parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(project.home),
        "TMPDIR": str(project.home / "tmp"),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    variables |= user_variables(case, settings, given or {})
    if endpoint is not None:
        # Behind a proxy of its own an endpoint brings its own certificates; the real
        # service is reached with those of this machine.
        variables |= settings.certificates if endpoint.name == "live" else {}
        variables |= endpoint.env
    return variables


def _digests(folder: Path) -> dict[str, str]:
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] in _PRODUCT_FOLDERS or path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            digests[name.as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests
