"""The control of parity: faults planted into a real sandbox run are found, each at its place.

The released Osiris runs for real, here and in a sandbox; its accepted divergences
are accepted. Then one fault at a time is put into the remote evidence, and parity
must go red, with the right path. A comparison that cannot fail proves nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.model.evidence import Evidence, FileEvidence, FileRole, Record
from harness.model.outcome import Outcome
from harness.model.run import ExecutionContext, Json, PipelineCase
from harness.model.side import Endpoint, Side
from harness.parity import CaseRun, ParityFindings, compare_case, judge
from harness.parity.allowances import load_allowances
from harness.targets.osiris import OsirisTarget
from harness.workflow.parity import PRODUCT

pytestmark = [pytest.mark.e2b, pytest.mark.parity]

Mutation = Callable[[Evidence, Path], Evidence]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Real runs of one case."""

    case: PipelineCase
    first: Evidence
    second: Evidence
    remote: Evidence
    target: OsirisTarget

    def judged(self, remote: Evidence) -> ParityFindings:
        compared = compare_case(
            self.first, self.second, remote, expect_success=self.case.expect_success
        )
        version = self.target.version
        allowances = load_allowances(
            self.target.allowances_file(), product=PRODUCT, version=version
        )
        library = [case.name for case in self.target.cases()]
        today = datetime.now(UTC).date()
        return judge([CaseRun(comparison=compared)], allowances, today=today, library=library)


@pytest.fixture
def observe(
    osiris_target: OsirisTarget,
    e2b_endpoint: Endpoint,
    make_execution_context: Callable[..., ExecutionContext],
) -> Callable[[str], Runs]:
    """Runs a case of the library as parity does."""

    def once(case: PipelineCase, side: Side) -> Evidence:
        context = make_execution_context()
        endpoint = e2b_endpoint if side is Side.E2B else None
        with osiris_target.adapter(side, endpoint) as adapter:
            prepared = adapter.prepare(case, context)
            result = adapter.execute(prepared, context)
            collected = adapter.collect(prepared, context)
        return osiris_target.gather(side, case, context, result, collected)

    def run(name: str) -> Runs:
        case = osiris_target.case(name)
        sides = [once(case, side) for side in (Side.LOCAL, Side.LOCAL, Side.E2B)]
        return Runs(
            case=case, first=sides[0], second=sides[1], remote=sides[2], target=osiris_target
        )

    return run


def changed(evidence: Evidence, file: FileEvidence, data: bytes, folder: Path) -> Evidence:
    """The evidence with another content of a file."""
    location = folder / hashlib.sha256(data).hexdigest()[:16] / Path(file.path).name
    location.parent.mkdir(parents=True, exist_ok=True)
    location.write_bytes(data)
    other = replace(
        file,
        location=location,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    return replace(
        evidence, files=tuple(other if item is file else item for item in evidence.files)
    )


def output(evidence: Evidence) -> FileEvidence:
    return next(file for file in evidence.files if file.role is FileRole.OUTPUT)


def config(evidence: Evidence) -> FileEvidence:
    return next(file for file in evidence.files if file.path.endswith("cleaned_config.json"))


def edit(change: Callable[[bytes], bytes]) -> Mutation:
    """A fault in the output data."""

    def mutate(evidence: Evidence, folder: Path) -> Evidence:
        file = output(evidence)
        data = file.location.read_bytes()
        assert change(data) != data, "the fault does not fit the data"
        return changed(evidence, file, change(data), folder)

    return mutate


def swap(old: bytes, new: bytes) -> Mutation:
    return edit(lambda data: data.replace(old, new, 1))


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Mutation:
    return edit(lambda data: b"".join(change(data.splitlines(keepends=True))))


def events(change: Callable[[list[Record]], list[Record]]) -> Mutation:
    """A fault in the events."""

    def mutate(evidence: Evidence, folder: Path) -> Evidence:
        del folder
        before = list(evidence.events or ())
        after = change(list(before))
        assert after != before, "the fault does not fit the events"
        return replace(evidence, events=tuple(after))

    return mutate


def at(told: list[Record], name: str, number: int = 0) -> int:
    found = [index for index, record in enumerate(told) if record.fields.get("event") == name]
    return found[number]


def with_field(record: Record, **fields: Json) -> Record:
    return replace(record, fields={**record.fields, **fields})


def lost_event(told: list[Record]) -> list[Record]:
    del told[at(told, "step_complete")]
    return told


def doubled_event(told: list[Record]) -> list[Record]:
    told.insert(at(told, "step_complete"), told[at(told, "step_complete")])
    return told


def doubled_accepted_event(told: list[Record]) -> list[Record]:
    told.insert(at(told, "cleanup_start"), told[at(told, "cleanup_start")])
    return told


def moved_event(told: list[Record]) -> list[Record]:
    first, last = at(told, "step_start"), at(told, "step_complete", -1)
    told[first], told[last] = told[last], told[first]
    return told


def other_field(told: list[Record]) -> list[Record]:
    index = at(told, "step_start")
    told[index] = with_field(told[index], driver="mysql.writer")
    return told


def new_field(told: list[Record]) -> list[Record]:
    index = at(told, "step_start")
    told[index] = with_field(told[index], retried=True)
    return told


def torn_line(told: list[Record]) -> list[Record]:
    index = at(told, "step_start")
    told[index] = replace(told[index], fields={}, raw='{"event": "step_st')
    return told


def swapped_ids(told: list[Record]) -> list[Record]:
    index = at(told, "run_start")
    told[index] = with_field(told[index], session="20200101_000000_deadbeef")
    return told


def unknown_event(told: list[Record]) -> list[Record]:
    told.append(Record(line=len(told) + 1, fields={"event": "retry", "step_id": "write"}))
    return told


def metric_off_by_one(evidence: Evidence, folder: Path) -> Evidence:
    del folder
    told = list(evidence.metrics or ())
    index = next(i for i, r in enumerate(told) if r.fields.get("metric") == "rows_written")
    value = told[index].fields["value"]
    assert isinstance(value, int)
    told[index] = with_field(told[index], value=value + 1)
    return replace(evidence, metrics=tuple(told))


def lost_metric(evidence: Evidence, folder: Path) -> Evidence:
    del folder
    told = [r for r in evidence.metrics or () if r.fields.get("metric") != "rows_written"]
    return replace(evidence, metrics=tuple(told))


def no_events_file(evidence: Evidence, folder: Path) -> Evidence:
    del folder
    return replace(evidence, events=None)


def secret_in_config(evidence: Evidence, folder: Path) -> Evidence:
    file = config(evidence)
    document = json.loads(file.location.read_bytes())
    document["password"] = "planted"
    return changed(evidence, file, json.dumps(document).encode(), folder)


def truncated_artifact(evidence: Evidence, folder: Path) -> Evidence:
    file = config(evidence)
    return changed(evidence, file, file.location.read_bytes()[:-5], folder)


def missing_artifact(evidence: Evidence, folder: Path) -> Evidence:
    del folder
    gone = config(evidence)
    return replace(evidence, files=tuple(file for file in evidence.files if file is not gone))


def extra_file(evidence: Evidence, folder: Path) -> Evidence:
    file = output(evidence)
    folder.mkdir(parents=True)
    location = folder / "left-over.tmp"
    location.write_bytes(b"x")
    other = replace(file, path="output/left-over.tmp", location=location)
    return replace(evidence, files=(*evidence.files, other))


def other_mode(evidence: Evidence, folder: Path) -> Evidence:
    del folder
    file = output(evidence)
    other = replace(file, mode=0o600)
    return replace(
        evidence, files=tuple(other if item is file else item for item in evidence.files)
    )


def failed_without_words(evidence: Evidence, folder: Path) -> Evidence:
    del folder
    return replace(evidence, result=replace(evidence.result, success=False))


def other_exit_code(evidence: Evidence, folder: Path) -> Evidence:
    del folder
    return replace(evidence, result=replace(evidence.result, exit_code=3))


def more_steps(evidence: Evidence, folder: Path) -> Evidence:
    del folder
    status = dict(evidence.status or {})
    return replace(evidence, status={**status, "steps_total": 9})


def printed(evidence: Evidence, folder: Path) -> Evidence:
    del folder
    result = replace(evidence.result, stdout=evidence.result.stdout + "Traceback: oh\n")
    return replace(evidence, result=result)


def without_last_column(rows: list[bytes]) -> list[bytes]:
    """Every record ends in the last column; a line end inside a cell does not."""
    return [row if row.endswith(b'"two\n') else row.rsplit(b",", 1)[0] + b"\n" for row in rows]


CSV = "files/output/output/types.csv"
DATA_FAULTS: dict[str, tuple[Mutation, str]] = {
    "row lost": (lines(lambda rows: rows[:-1]), f"{CSV}/rows"),
    "row doubled": (lines(lambda rows: [*rows, rows[-1]]), f"{CSV}/rows"),
    "last line without end": (edit(lambda data: data[:-1]), f"{CSV}/format/last_line"),
    "line ends": (edit(lambda data: data.replace(b"\n", b"\r\n")), f"{CSV}/format/line_end"),
    "float rounded": (swap(b"12345678901234.568", b"12345678901234.57"), f"{CSV}/columns/amount"),
    "integer turned float": (swap(b",127,", b",127.0,"), f"{CSV}/columns/tiny"),
    "null turned empty": (swap(b"\n,,,,", b'\n"",,,,'), f"{CSV}/columns/amount"),
    "minus zero": (swap(b"-0.0001", b"0.0001"), f"{CSV}/columns/amount"),
    "time zone shifted": (
        swap(b"10:34:56+00:00", b"12:34:56+02:00"),
        f"{CSV}/columns/moment_with_zone",
    ),
    "boolean retyped": (swap(b"True", b"true"), f"{CSV}/columns/flag"),
    "encoding": (
        edit(lambda data: data.decode().encode("utf-16")),
        f"{CSV}/format/encoding",
    ),
    "column renamed": (swap(b"text_plain", b"text"), f"{CSV}/columns/text_plain"),
    "column dropped": (lines(without_last_column), f"{CSV}/columns/uid"),
    "white space": (swap(b" padded ", b"padded"), f"{CSV}/columns/text_unicode"),
    "file extra": (extra_file, "files/output/output/left-over.tmp"),
    "file mode": (other_mode, f"{CSV}/mode"),
}
RUN_FAULTS: dict[str, tuple[Mutation, str]] = {
    "event missing": (events(lost_event), "events/step_complete"),
    "event doubled": (events(doubled_event), "events/step_complete"),
    "event out of order": (events(moved_event), "events/step_"),
    "event with another field": (events(other_field), "events/step_start/fields/driver"),
    "event with a new field": (events(new_field), "events/step_start/fields/retried"),
    "event that does not parse": (events(torn_line), "events/<unparsable>"),
    "unknown event": (events(unknown_event), "events/retry"),
    "ids swapped": (events(swapped_ids), "events/run_start/fields/session"),
    "events file missing": (no_events_file, "events"),
    "metric off by one": (metric_off_by_one, "metrics/rows_written/fields/value"),
    "metric missing": (lost_metric, "metrics/rows_written"),
    "secret in a config": (secret_in_config, "files/artifact/<step>/cleaned_config.json/password"),
    "artifact truncated": (truncated_artifact, "files/artifact/<step>/cleaned_config.json"),
    "artifact missing": (missing_artifact, "files/artifact/<step>/cleaned_config.json"),
    "outcome": (failed_without_words, "outcome"),
    "exit code": (other_exit_code, "exit_code"),
    "status": (more_steps, "status/steps_total"),
    "stdout": (printed, "stdout/lines"),
}


def test_every_planted_fault_is_found_at_its_place(
    observe: Callable[[str], Runs], tmp_path: Path
) -> None:
    """The unmutated run is green; each fault alone is red, and its path is the right one."""
    runs = observe("types-nulls-unicode")
    clean = runs.judged(runs.remote)
    assert [check.outcome for check in clean.checks] == [Outcome.PASSED], clean.open
    missed = []
    for name, (mutate, path) in {**DATA_FAULTS, **RUN_FAULTS}.items():
        found = runs.judged(mutate(runs.remote, tmp_path / name))
        if not any(item.path.startswith(path) for item in found.open):
            missed.append((name, [item.path for item in found.open]))
    assert missed == []


def test_accepted_event_that_comes_twice_is_found(observe: Callable[[str], Runs]) -> None:
    """An allowance covers what it says, and not one more of it."""
    runs = observe("types-nulls-unicode")
    doubled = events(doubled_accepted_event)(runs.remote, Path())
    found = runs.judged(doubled)
    assert [check.outcome for check in found.checks] == [Outcome.PASSED, Outcome.FAILED]
    assert "says once per run" in found.checks[-1].reason


def test_failure_that_is_told_otherwise_is_found(
    observe: Callable[[str], Runs],
) -> None:
    """Exit code 0 on failure, and a failure at another step, are not the accepted ones."""
    runs = observe("bad-sql")
    assert [check.outcome for check in runs.judged(runs.remote).checks] == [Outcome.PASSED]
    silent = replace(runs.remote, result=replace(runs.remote.result, exit_code=0))
    assert "exit_code" in [item.path for item in runs.judged(silent).open]
    healed = replace(runs.remote, result=replace(runs.remote.result, success=True))
    assert "outcome" in [item.path for item in runs.judged(healed).open]
