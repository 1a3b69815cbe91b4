"""The real Osiris, in its own process, through prepare, execute and collect."""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import ExitCode, UsageError
from harness.model.evidence import FileRole
from harness.model.run import ExecutionContext, PipelineCase
from harness.model.side import Endpoint, Side
from harness.ports import PrepareFailedError
from harness.settings import Secret, Settings
from harness.targets.osiris import OsirisTarget
from harness.targets.osiris.adapter import OsirisAdapter
from harness.targets.osiris.environment import OsirisEnvironment

MakeCase = Callable[..., PipelineCase]
SHOWS_ENVIRONMENT = """
import json, os, sys
from pathlib import Path
Path("seen.json").write_text(json.dumps(dict(os.environ)))
"""
ABORTS_AT_THE_OUTPUT = """
import os, sys
def abort(event, arguments):
    if event == "open" and str(arguments[0]).endswith("out.csv"):
        os.abort()
sys.addaudithook(abort)
"""


@pytest.fixture
def adapter(environment: OsirisEnvironment, settings: Settings) -> Iterator[OsirisAdapter]:
    with OsirisAdapter(side=Side.LOCAL, environment=environment, settings=settings) as adapter:
        yield adapter


def test_small_pipeline_runs_whole(
    adapter: OsirisAdapter, target: OsirisTarget, context: ExecutionContext
) -> None:
    """Result, logs, step configurations and the written rows are all there."""
    case = target.case("small_pipeline")
    prepared = adapter.prepare(case, context)
    assert [step["id"] for step in prepared.plan["steps"]] == ["generate", "write"]  # type: ignore[index,union-attr,call-overload]  # JSON
    assert set(prepared.cfg_index) == {"cfg/generate.json", "cfg/write.json"}
    result = adapter.execute(prepared, context)
    assert (result.success, result.exit_code, result.error_message) == (True, 0, None)
    assert result.step_results == {
        "generate": {"df": {"rows": 10, "columns": {"id": "int64", "label": "str"}}}
    }
    collected = adapter.collect(prepared, context)
    assert collected.outputs_dir is not None
    assert collected.sandbox_dir is None
    with (collected.outputs_dir / "output" / "rows.csv").open(encoding="utf-8") as file:
        assert [row["id"] for row in csv.DictReader(file)] == [str(i) for i in range(1, 11)]
    assert adapter.collect(prepared, context) is collected
    evidence = target.gather(Side.LOCAL, case, context, result, collected)
    assert evidence.broken is None
    assert evidence.events is not None
    assert evidence.events[-1].fields["event"] == "run_end"
    assert all(record.raw is None for record in evidence.events)
    assert {file.role for file in evidence.files} == set(FileRole)
    assert [f.path for f in evidence.files if f.role is FileRole.OUTPUT] == ["output/rows.csv"]
    assert [f.path for f in evidence.files if f.role is FileRole.CFG] == [
        "generate.json",
        "write.json",
    ]


def test_every_value_of_the_run_has_a_token(
    adapter: OsirisAdapter, target: OsirisTarget, context: ExecutionContext
) -> None:
    """Session, run, folders and environment are named, so that a comparison can tell them apart."""
    case = target.case("small_pipeline")
    prepared = adapter.prepare(case, context)
    result = adapter.execute(prepared, context)
    collected = adapter.collect(prepared, context)
    evidence = target.gather(Side.LOCAL, case, context, result, collected)
    assert evidence.volatile is not None
    assert evidence.events is not None
    tokens = set(evidence.volatile.values())
    assert tokens >= {"<session>", "<run>", "<project>", "<logs>", "<run-folder>", "<environment>"}
    assert evidence.volatile[str(evidence.events[0].fields["session"])] == "<session>"
    assert evidence.volatile[str(context.project_dir)] == "<project>"


def test_failing_query_is_a_result(
    adapter: OsirisAdapter, context: ExecutionContext, make_case: MakeCase
) -> None:
    """The product's own words are kept; nothing is raised."""
    prepared = adapter.prepare(make_case("SELECT * FROM missing"), context)
    result = adapter.execute(prepared, context)
    assert (result.success, result.exit_code) == (False, 1)
    assert (result.timed_out, result.crashed) == (False, False)
    assert result.error_message is not None
    assert "Table with name missing does not exist" in result.error_message


def test_pipeline_that_does_not_compile_is_refused_in_prepare(
    adapter: OsirisAdapter, target: OsirisTarget, context: ExecutionContext
) -> None:
    """It is the caller's input: exit code 2, the compiler's words, and a result as evidence."""
    case = target.case("does-not-compile")
    with pytest.raises(PrepareFailedError) as caught:
        adapter.prepare(case, context)
    assert caught.value.exit_code is ExitCode.USAGE
    assert not caught.value.compiled
    assert "Components missing runtime drivers: impossible" in caught.value.happened
    assert (caught.value.result.success, caught.value.result.exit_code) == (False, 2)
    evidence = target.gather(Side.LOCAL, case, context, caught.value.result, None)
    assert evidence.broken is None
    assert evidence.events is None


def test_pipeline_that_is_not_yaml_is_refused_in_prepare(
    adapter: OsirisAdapter, context: ExecutionContext, make_case: MakeCase
) -> None:
    """An exception of the product's compiler has its type."""
    with pytest.raises(PrepareFailedError) as caught:
        adapter.prepare(make_case(oml="steps: [broken"), context)
    assert caught.value.result.error_type == "ParserError"
    assert caught.value.exit_code is ExitCode.USAGE


def test_deadline_ends_the_run_and_keeps_what_is_there(
    adapter: OsirisAdapter, target: OsirisTarget, context: ExecutionContext, make_case: MakeCase
) -> None:
    """A hang of the product is a result that says so; its events up to then are evidence."""
    case = make_case(
        "SELECT count(*) FROM range(10000000) AS a(i), range(10000000) AS b(j) WHERE hash(i) <> j",
        deadline_s=10.0,
    )
    prepared = adapter.prepare(case, context)
    result = adapter.execute(prepared, context)
    assert (result.timed_out, result.success, result.exit_code) == (True, False, 124)
    assert result.error_message is not None
    assert "deadline of 10 s" in result.error_message
    evidence = target.gather(Side.LOCAL, case, context, result, adapter.collect(prepared, context))
    assert evidence.broken is None
    assert evidence.events is not None
    assert "step_start" in {record.fields.get("event") for record in evidence.events}


def test_crash_of_the_product_is_a_result(
    adapter: OsirisAdapter, target: OsirisTarget, context: ExecutionContext, make_case: MakeCase
) -> None:
    """A signal that ends the product is named, and the harness lives on."""
    case = make_case(files={"hook/sitecustomize.py": ABORTS_AT_THE_OUTPUT.encode()})
    case = replace(case, env={"PYTHONPATH": str(context.project_dir / "hook")})
    prepared = adapter.prepare(case, context)
    result = adapter.execute(prepared, context)
    assert (result.crashed, result.success) == (True, False)
    assert result.exit_code == 128 + signal.SIGABRT
    assert result.error_message is not None
    assert "SIGABRT" in result.error_message
    evidence = target.gather(Side.LOCAL, case, context, result, adapter.collect(prepared, context))
    assert evidence.broken is None


def test_environment_of_the_product_is_built_from_nothing(
    adapter: OsirisAdapter,
    environment: OsirisEnvironment,
    context: ExecutionContext,
    make_case: MakeCase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The caller's variables, proxies among them, stay out; the case's own come through."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("SOMETHING_PRIVATE", "leak")
    case = make_case(
        files={"hook/sitecustomize.py": SHOWS_ENVIRONMENT.encode()},
        env={"PYTHONPATH": str(context.project_dir / "hook"), "WORD": "w"},
    )
    adapter.prepare(case, context)
    seen = json.loads((context.project_dir / "seen.json").read_text(encoding="utf-8"))
    assert seen.pop("LC_CTYPE", "C.UTF-8") == "C.UTF-8"
    assert set(seen) == {
        "HOME",
        "LANG",
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONPATH",
        "TMPDIR",
        "WORD",
    }
    assert seen["HOME"] == str(context.base_path / "home")
    assert seen["PATH"].startswith(str(environment.folder))


def test_secrets_of_the_settings_reach_the_product_and_no_key(
    environment: OsirisEnvironment,
    settings: Settings,
    context: ExecutionContext,
    make_case: MakeCase,
) -> None:
    """A database password is the product's to use; E2B's key is not, on the local side."""
    given = replace(
        settings,
        mysql_password=Secret("MYSQL_PASSWORD", "fake-" + "password"),
        e2b_api_key=Secret("E2B_API_KEY", "e2b_" + "ab" * 20),
    )
    case = make_case(
        files={"hook/sitecustomize.py": SHOWS_ENVIRONMENT.encode()},
        env={"PYTHONPATH": str(context.project_dir / "hook")},
    )
    with OsirisAdapter(side=Side.LOCAL, environment=environment, settings=given) as adapter:
        adapter.prepare(case, context)
    seen = json.loads((context.project_dir / "seen.json").read_text(encoding="utf-8"))
    assert seen["MYSQL_PASSWORD"] == "fake-password"
    assert "E2B_API_KEY" not in seen


@pytest.mark.parametrize("disabled", [True, False])
def test_preflight_passes_with_the_layout_that_the_compiler_makes(
    environment: OsirisEnvironment,
    settings: Settings,
    context: ExecutionContext,
    make_case: MakeCase,
    *,
    disabled: bool,
) -> None:
    """Enforced, it runs and succeeds; skipped, there is no trace of it."""
    given = replace(settings, disable_preflight=disabled)
    with OsirisAdapter(side=Side.LOCAL, environment=environment, settings=given) as adapter:
        prepared = adapter.prepare(make_case(), context)
        assert adapter.execute(prepared, context).success
    events = (context.logs_dir / "events.jsonl").read_text(encoding="utf-8")
    assert ("preflight_validation_success" in events) is not disabled


def test_preflight_enforced_refuses_a_missing_step_configuration(
    environment: OsirisEnvironment,
    settings: Settings,
    context: ExecutionContext,
    make_case: MakeCase,
) -> None:
    """The control: without the compiled file the product's preflight fails the run."""
    given = replace(settings, disable_preflight=False)
    with OsirisAdapter(side=Side.LOCAL, environment=environment, settings=given) as adapter:
        prepared = adapter.prepare(make_case(), context)
        next((context.project_dir / "build").rglob("cfg/query.json")).unlink()
        result = adapter.execute(prepared, context)
    assert result.error_type == "ExecuteError"
    assert result.error_message is not None
    assert "Preflight validation failed" in result.error_message


def test_two_runs_of_one_adapter_do_not_see_each_other(
    adapter: OsirisAdapter, context: ExecutionContext, make_case: MakeCase
) -> None:
    """Each has its own folder and process; both are prepared before the first is executed."""
    other = replace(context, session_id="another", base_path=context.base_path.with_name("other"))
    first = adapter.prepare(make_case("SELECT 1 AS one"), context)
    second = adapter.prepare(make_case("SELECT 2 AS two"), other)
    assert adapter.execute(second, other).success
    assert adapter.execute(first, context).success
    outputs = [adapter.collect(first, context), adapter.collect(second, other)]
    texts = [(c.outputs_dir / "out.csv").read_text() for c in outputs if c.outputs_dir]
    assert texts == ["one\n1\n", "two\n2\n"]


def test_steps_out_of_order_are_the_callers_mistake(
    adapter: OsirisAdapter, context: ExecutionContext, make_case: MakeCase
) -> None:
    """Neither collecting before executing nor using a folder twice goes by in silence."""
    prepared = adapter.prepare(make_case(), context)
    with pytest.raises(UsageError, match="not executed"):
        adapter.collect(prepared, context)
    with pytest.raises(UsageError, match="used already"):
        adapter.prepare(make_case(), context)
    elsewhere = replace(context, base_path=context.base_path / "elsewhere")
    with pytest.raises(UsageError, match="not prepared"):
        adapter.execute(prepared, elsewhere)


def test_input_files_are_read_and_are_not_outputs(
    adapter: OsirisAdapter, target: OsirisTarget, context: ExecutionContext
) -> None:
    """A case's own files lie in the working directory; what the run did not touch is no output."""
    case = target.case("csv-extract")
    prepared = adapter.prepare(case, context)
    assert adapter.execute(prepared, context).success
    outputs = adapter.collect(prepared, context).outputs_dir
    assert outputs is not None
    assert [p.name for p in outputs.rglob("*") if p.is_file()] == ["copy.csv"]


def test_input_file_that_the_run_changes_is_an_output(
    adapter: OsirisAdapter, context: ExecutionContext, make_case: MakeCase
) -> None:
    """Written over is written."""
    prepared = adapter.prepare(make_case(files={"out.csv": b"before", "keep": b"k"}), context)
    assert adapter.execute(prepared, context).success
    outputs = adapter.collect(prepared, context).outputs_dir
    assert outputs is not None
    assert [(p.name, p.read_text()) for p in outputs.iterdir()] == [("out.csv", "one\n1\n")]


def test_context_with_a_relative_folder_works(
    adapter: OsirisAdapter,
    context: ExecutionContext,
    make_case: MakeCase,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The run's folder is found from the product's own working directory too."""
    monkeypatch.chdir(tmp_path)
    relative = replace(context, base_path=Path("run"))
    prepared = adapter.prepare(make_case(), relative)
    assert adapter.execute(prepared, relative).success
    assert adapter.collect(prepared, relative).events_log == context.logs_dir / "events.jsonl"


def test_e2b_side_without_an_endpoint_is_refused(
    environment: OsirisEnvironment, settings: Settings
) -> None:
    """It never falls back to running locally."""
    with pytest.raises(UsageError, match="endpoint"):
        OsirisAdapter(side=Side.E2B, environment=environment, settings=settings)


def test_e2b_side_without_a_key_is_refused_by_the_product(
    environment: OsirisEnvironment,
    settings: Settings,
    context: ExecutionContext,
    make_case: MakeCase,
) -> None:
    """The product's own words on a missing key come through."""
    endpoint = Endpoint(name="emulator", env={})
    with (
        OsirisAdapter(
            side=Side.E2B, environment=environment, settings=settings, endpoint=endpoint
        ) as adapter,
        pytest.raises(PrepareFailedError) as caught,
    ):
        adapter.prepare(make_case(), context)
    assert "E2B_API_KEY not found" in caught.value.happened
    assert caught.value.compiled
    assert caught.value.exit_code is ExitCode.FAILED


def test_e2b_side_with_a_dead_service_is_broken_evidence(
    *,
    environment: OsirisEnvironment,
    settings: Settings,
    target: OsirisTarget,
    context: ExecutionContext,
    make_case: MakeCase,
    unused_tcp_port: int,
) -> None:
    """A service that is not there says nothing about the product: broken, not empty."""
    url = f"http://127.0.0.1:{unused_tcp_port}"
    endpoint = Endpoint(
        name="emulator",
        env={"E2B_API_URL": url, "E2B_SANDBOX_URL": url, "E2B_API_KEY": "e2b_" + "0" * 40},
        admin_url=f"{url}/_harness",
        admin_token="t",
    )
    case = make_case()
    with OsirisAdapter(
        side=Side.E2B, environment=environment, settings=settings, endpoint=endpoint
    ) as adapter:
        prepared = adapter.prepare(case, context)
        result = adapter.execute(prepared, context)
        collected = adapter.collect(prepared, context)
    assert not result.success
    evidence = target.gather(Side.E2B, case, context, result, collected)
    assert evidence.broken is not None
    assert "never had a sandbox" in evidence.broken
