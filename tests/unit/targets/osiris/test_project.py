"""A run's folder holds what the case gives, and shows what the run added."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.model.run import ExecutionContext, PipelineCase
from harness.model.side import Endpoint
from harness.settings import Settings
from harness.targets.osiris.environment import OsirisEnvironment
from harness.targets.osiris.project import Project, child_environment

MakeCase = Callable[..., PipelineCase]
CERTIFICATES = {"SSL_CERT_FILE": "/certs.pem"}


@pytest.fixture
def project(context: ExecutionContext, make_case: MakeCase) -> Project:
    return Project.create(make_case(files={"in/a.csv": b"id\n1\n"}), context)


def outputs(project: Project, folder: Path) -> dict[str, bytes]:
    project.copy_outputs(folder)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_create_writes_the_pipeline_and_the_files(project: Project, make_case: MakeCase) -> None:
    """The product finds its contract, the pipeline and the inputs where a user keeps them."""
    folder = project.folder
    assert (folder / "pipeline.yaml").read_text(encoding="utf-8") == make_case().oml
    assert (folder / "in" / "a.csv").read_bytes() == b"id\n1\n"
    assert str(folder) in (folder / "osiris.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", ""])
def test_create_with_a_file_outside_is_refused(
    context: ExecutionContext, make_case: MakeCase, name: str
) -> None:
    """A case from anywhere cannot write beside its own folder."""
    with pytest.raises(UsageError, match="outside the project"):
        Project.create(make_case(files={name: b""}), context)


def test_copy_outputs_has_what_is_new_or_changed(project: Project, tmp_path: Path) -> None:
    """Neither the inputs nor the product's own folders are outputs."""
    for name in ("build/x", "run_logs/x", ".osiris/x", "aiop/x", "out/deep/b.csv", "in/a.csv"):
        path = project.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("new", encoding="utf-8")
    assert outputs(project, tmp_path / "o") == {"out/deep/b.csv": b"new", "in/a.csv": b"new"}


def test_copy_outputs_of_an_untouched_project_is_empty(project: Project, tmp_path: Path) -> None:
    """Written anew with the same bytes is not changed."""
    (project.folder / "in" / "a.csv").write_bytes(b"id\n1\n")
    assert outputs(project, tmp_path / "o") == {}


def test_copy_outputs_does_not_follow_a_symlink(project: Project, tmp_path: Path) -> None:
    """A link to a file of this machine brings nothing of it into the evidence."""
    (tmp_path / "secret").write_text("s", encoding="utf-8")
    (project.folder / "link.csv").symlink_to(tmp_path / "secret")
    (project.folder / "folder").symlink_to(tmp_path)
    assert outputs(project, tmp_path / "o") == {}


def test_copy_outputs_keeps_the_mode(project: Project, tmp_path: Path) -> None:
    """Permission bits are evidence."""
    path = project.folder / "a.csv"
    path.touch()
    path.chmod(0o640)
    project.copy_outputs(tmp_path / "o")
    assert (tmp_path / "o" / "a.csv").stat().st_mode & 0o777 == 0o640


def test_child_environment_certificates_only_for_the_real_service(
    environment: OsirisEnvironment, settings: Settings, project: Project, make_case: MakeCase
) -> None:
    """An emulator brings its own certificates, if it has any."""
    given = replace(settings, certificates=CERTIFICATES)

    def of(endpoint: Endpoint | None) -> dict[str, str]:
        return child_environment(
            environment=environment,
            project=project,
            case=make_case(),
            settings=given,
            endpoint=endpoint,
        )

    assert of(Endpoint(name="live", env={"E2B_API_KEY": "k"})).items() >= CERTIFICATES.items()
    assert "SSL_CERT_FILE" not in of(Endpoint(name="emulator", env={}))
    assert "SSL_CERT_FILE" not in of(None)
    own = Endpoint(name="emulator", env={"SSL_CERT_FILE": "/own.pem"})
    assert of(own)["SSL_CERT_FILE"] == "/own.pem"


def test_newest_session_is_the_last_that_writes_events(project: Project) -> None:
    """A folder without events is no session."""
    assert project.newest_session() is None
    logs = project.folder / "run_logs"
    for name in ("dev/20260101_a", "dev/20260102_b"):
        (logs / name).mkdir(parents=True)
        (logs / name / "events.jsonl").touch()
    (logs / "dev" / "20260103_c").mkdir()
    assert project.newest_session() == logs / "dev" / "20260102_b"


def test_newest_session_is_found_while_folders_come_and_go(project: Project) -> None:
    """Osiris makes a folder for a moment; who looks just then sees the others."""
    session = project.folder / "run_logs" / "dev"
    session.mkdir(parents=True)
    (session / "events.jsonl").touch()
    passing = project.folder / "run_logs" / "a-run"
    enough = threading.Event()

    def come_and_go() -> None:
        while not enough.is_set():
            (passing / "inside").mkdir(parents=True)
            (passing / "inside").rmdir()
            passing.rmdir()

    with ThreadPoolExecutor() as pool:
        coming = pool.submit(come_and_go)
        try:
            found = {project.newest_session() for _ in range(3000)}
        finally:
            enough.set()
        coming.result()
    assert found == {session}
