from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from parity_runs import OK, RunFolder, events, failure, records, run, step_events

from harness.model.difference import Difference
from harness.model.evidence import Evidence, FileRole, Record
from harness.model.run import Json
from harness.model.side import Side
from harness.parity.case import CaseComparison, compare_case, why_broken
from harness.parity.causes import merge

LOST = "Catalog Error: Table with name df_load does not exist!"


def compare(
    local: Evidence, remote: Evidence, *, second: Evidence | None = None, expect: bool | None = None
) -> CaseComparison:
    return compare_case(
        local, second or local, replace(remote, side=Side.E2B), expect_success=expect
    )


def failed_at(step: str, *before: str, message: str = LOST) -> tuple[Record, ...]:
    return records(
        {"event": "run_start"},
        *step_events(*before),
        {"event": "step_start", "step_id": step, "driver": "duckdb.processor"},
        {"event": "step_failed", "step_id": step, "error": message},
        {"event": "run_error"},
    )


def brief(differences: tuple[Difference, ...]) -> list[tuple[str, str]]:
    return [(item.path, item.kind) for item in differences]


def test_run_compared_with_itself_has_no_difference(tmp_path: Path) -> None:
    """The same run on both sides is in parity."""
    folder = RunFolder(tmp_path)
    one = run(status={"ok": True}, files=[folder.file("o.csv", "a\n1\n")], promised=("o.csv",))
    found = compare(one, one, expect=True)
    assert (found.differences, found.noise, found.broken) == ((), (), None)


def test_outcome_stands_before_everything_else() -> None:
    """The first difference is the first cause."""
    found = compare(run(), run(result=failure(LOST), events=failed_at("write", "load")))
    assert [item.path for item in found.differences][:3] == ["outcome", "exit_code", "error/text"]
    head = found.differences[0]
    assert (head.local, head.remote) == ("succeeded", f"failed: {LOST}")
    assert (head.step, head.component) == ("write", "duckdb.processor")


def test_failed_step_explains_what_follows_and_nothing_before(tmp_path: Path) -> None:
    """Missing events, outputs and exit codes follow from the failure; an earlier fault does not."""
    folder = RunFolder(tmp_path)
    early = [dict(record.fields) for record in failed_at("write", "load")]
    early[2]["rows"] = 4
    local = run(files=[folder.file("o.csv", "a\n1\n")], promised=("o.csv",))
    remote = run(result=failure(LOST), events=records(*early), promised=("o.csv",))
    found = compare(local, remote)
    head = found.differences[0].id
    alone = [item for item in found.differences if item.explained_by is None]
    assert brief(tuple(alone)) == [
        ("outcome", "value"),
        ("events/step_complete/fields/rows", "value"),
    ]
    follow = {item.path for item in found.differences if item.explained_by == head}
    assert {"exit_code", "error/text", "files/output/o.csv", "events/step_complete"} <= follow
    assert found.broken is None


def test_run_that_breaks_off_explains_only_what_would_have_followed() -> None:
    """A sandbox that vanishes in the second step explains nothing of the first."""
    told: list[dict[str, Json]] = [{"event": "run_start"}, *step_events("load")]
    told[2]["rows"] = 4
    remote = run(result=failure("the sandbox was not found"), events=records(*told))
    found = compare(run(), remote)
    alone = [item for item in found.differences if item.explained_by is None]
    assert brief(tuple(alone)) == [
        ("outcome", "value"),
        ("events/step_complete/fields/rows", "value"),
    ]
    assert found.differences[0].step == "write"


def test_two_failures_at_one_step_explain_nothing() -> None:
    """Where both sides fail alike, every difference stands for itself."""
    both = failed_at("write", "load")
    local = run(result=failure(LOST), events=both)
    remote = run(result=failure("other words", exit_code=0), events=(*both, *events()[-1:]))
    found = compare(local, remote)
    assert brief(found.differences) == [
        ("exit_code", "value"),
        ("error/text", "value"),
        ("events/run_complete", "extra"),
    ]
    assert {item.explained_by for item in found.differences} == {None}


def test_local_failure_where_the_sandbox_succeeds_is_found() -> None:
    """Control: the remote side doing better is a difference, too."""
    found = compare(run(result=failure(LOST), events=failed_at("write", "load")), run())
    assert found.differences[0].path == "outcome"
    assert found.differences[0].local == f"failed: {LOST}"


def test_same_fault_in_two_pipelines_is_one_difference() -> None:
    """Id, count and pipelines are merged; the steps' names do not matter."""
    found: list[Difference] = []
    for name, steps in (("one", ("load", "write")), ("two", ("read-all", "store"))):
        message = f"Table with name df_{steps[0]} does not exist!"
        local = run(pipeline=name, events=events(*steps))
        remote = run(
            pipeline=name,
            result=failure(message),
            events=failed_at(steps[1], steps[0], message=message),
        )
        found += compare(local, remote).differences
    merged = merge(found)
    assert merged[0].path == "outcome"
    assert (merged[0].pipelines, merged[0].count) == (("one", "two"), 2)


def test_two_causes_at_one_path_are_two_differences() -> None:
    """Control: another error is another difference, though the path is the same."""
    ids = {
        compare(run(), run(result=failure(message))).differences[0].id
        for message in (LOST, "connection refused", "connection refused")
    }
    assert len(ids) == 2


def test_ids_do_not_depend_on_volatile_values() -> None:
    """The next run of the same fault has the same id."""

    def ids(session: str) -> list[str]:
        remote = run(
            result=failure(f"session {session} lost"),
            events=records({"event": "run_start", "session": session, "x": 1}),
        )
        return [item.id for item in compare(run(), remote).differences]

    assert ids("20260101_120000_0a1b2c3d") == ids("20270202_130000_ffffffff")


def test_noise_of_the_local_side_is_left_out_and_shown() -> None:
    """A field that differs between two local runs is no difference of the sandbox."""
    one, two, there = (
        run(events=records({"event": "e", "seed": seed, "rows": 5})) for seed in (1, 2, 3)
    )
    found = compare(one, there, second=two)
    assert found.differences == ()
    assert [delta.path for delta in found.noise] == ["events/e/fields/seed"]


@pytest.mark.parametrize("fields", [{"event": "e"}, {"event": "e", "seed": "3"}])
def test_noise_does_not_hide_a_missing_or_retyped_value(fields: dict[str, Json]) -> None:
    """Control: noise covers another value of the same type, and nothing else."""
    one, two = (run(events=records({"event": "e", "seed": seed})) for seed in (1, 2))
    found = compare(one, run(events=records(fields)), second=two)
    assert [item.path for item in found.differences] == ["events/e/fields/seed"]


def test_noise_does_not_hide_an_emptied_text() -> None:
    """Control: text that varies is still text."""
    one, two, there = (
        run(events=records({"event": "e", "token": token})) for token in ("ab", "cd", "")
    )
    assert len(compare(one, there, second=two).differences) == 1
    assert compare(one, run(events=two.events), second=two).differences == ()


def test_noise_in_one_place_does_not_hide_another() -> None:
    """Control: noise is learned for a place, not for a name."""

    def side(first: int, second: int) -> Evidence:
        told = step_events("load", "write")
        told[1]["rows"], told[3]["rows"] = first, second
        return run(events=records(*told))

    found = compare(side(1, 9), side(1, 8), second=side(2, 9))
    assert [(item.path, item.step) for item in found.differences] == [
        ("events/step_complete/fields/rows", "write")
    ]


def test_noisy_line_does_not_hide_another_line() -> None:
    """Control: noise on one line of a log leaves the others compared."""

    def side(seed: int, rest: str) -> Evidence:
        return run(result=replace(OK, stdout=f"seed {seed}\n{rest}\n"))

    assert compare(side(1, "x"), side(3, "x"), second=side(2, "x")).differences == ()
    (item,) = compare(side(1, "x"), side(3, "y"), second=side(2, "x")).differences
    assert item.path == "stdout/lines"


def test_order_that_varies_locally_is_not_promised() -> None:
    """Two local runs in two orders: then order is noise, and a lost event is not."""
    told = step_events("load", "write")
    one, two = run(events=records(*told)), run(events=records(*told[::-1]))
    other = run(events=records(told[2], told[0], told[3], told[1]))
    assert compare(one, other, second=two).differences == ()
    lost = run(events=records(told[2], told[0], told[3]))
    assert brief(compare(one, lost, second=two).differences) == [
        ("events/step_complete", "missing")
    ]


def test_duration_is_reported_and_never_compared() -> None:
    """How long a run took is no difference."""
    found = compare(run(), run(result=replace(OK, duration_s=99.0)))
    assert found.differences == ()
    assert (found.local_s, found.remote_s) == (1.0, 99.0)


def test_status_is_compared_by_field_and_its_absence_is_told() -> None:
    """status.json: a changed field, a missing file, a file that does not parse."""
    local = run(status={"ok": True, "steps": 2})
    assert brief(compare(local, run(status={"ok": False, "steps": 2})).differences) == [
        ("status/ok", "value")
    ]
    assert brief(compare(local, run(status=None)).differences) == [("status", "missing")]


def test_status_that_does_not_parse_is_unparsable(tmp_path: Path) -> None:
    """A torn status.json is not a missing one."""
    torn = RunFolder(tmp_path).file("status.json", '{"ok": tr', role=FileRole.STATUS)
    found = compare(run(status={"ok": True}, files=[replace(torn)]), run(files=[torn]))
    assert brief(found.differences) == [("status", "unparsable")]


@pytest.mark.parametrize(
    ("evidence", "why"),
    [
        (run(broken="no answer from 127.0.0.1"), "no answer"),
        (run(events=None, metrics=None), "empty"),
        (run(events=(), metrics=()), "empty"),
        (run(promised=("o.csv",)), "promised o.csv"),
    ],
)
def test_side_that_says_nothing_is_broken(evidence: Evidence, why: str) -> None:
    """An empty side, and one without what it promised, is no evidence of parity."""
    assert why in (why_broken(evidence) or "")
    assert why in (compare(evidence, run()).broken or "")


def test_side_with_an_error_and_nothing_else_can_be_compared() -> None:
    """A pipeline that does not compile leaves an error only: that is evidence."""
    refused = run(result=failure("no such component"), events=None, metrics=None)
    assert why_broken(refused) is None
    assert compare(refused, refused).differences == ()


def test_case_that_does_not_do_what_it_promises_locally_is_broken() -> None:
    """A comparison of two failures proves nothing of a pipeline that is to succeed."""
    both = run(result=failure(LOST))
    assert "promises success" in (compare(both, both, expect=True).broken or "")
    assert "promises a failure" in (compare(run(), run(), expect=False).broken or "")
    assert compare(both, both, expect=False).broken is None


def test_local_runs_that_end_differently_are_broken() -> None:
    """A case that fails now and then says nothing of the sandbox."""
    found = compare(run(), run(), second=run(result=failure(LOST)))
    assert "end differently" in (found.broken or "")


def test_remote_success_without_its_output_is_noted(tmp_path: Path) -> None:
    """The difference is listed, and the verdict can call the side broken."""
    file = RunFolder(tmp_path).file("o.csv", "a\n1\n")
    found = compare(run(files=[file], promised=("o.csv",)), run(promised=("o.csv",)))
    assert found.unkept == ("o.csv",)
    assert brief(found.differences) == [("files/output/o.csv", "missing")]


def spoken(*lines: str) -> Evidence:
    return run(Side.E2B, result=replace(OK, stdout="".join(f"{line}\n" for line in lines)))


def calibrated(local: Evidence, remote: Evidence, *again: Evidence) -> CaseComparison:
    others = [replace(item, side=Side.E2B) for item in again]
    return compare_case(local, local, replace(remote, side=Side.E2B), again=others)


def test_noise_of_the_remote_side_is_left_out_and_shown() -> None:
    """What the remote runs disagree on is noise, at its place; the local side keeps quiet."""
    here = spoken("begin", "port 7", "end")
    there = [spoken("begin", f"port {number}", "end") for number in (1, 2, 3)]
    found = calibrated(here, *there)
    assert (found.differences, found.noise) == ((), ())
    assert {delta.path for delta in found.remote_noise} == {"stdout/lines"}
    assert [item.path for item in calibrated(here, there[0]).differences] == ["stdout/lines"]


def test_remote_noise_hides_neither_another_line_nor_a_lost_one() -> None:
    """Control: beside a noisy line, a changed and a missing line are differences."""
    here = spoken("begin", "port 7", "end")
    there = [spoken("begin", f"port {number}", "END") for number in (1, 2)]
    assert brief(calibrated(here, *there).differences) == [("stdout/lines", "value")]
    there = [spoken("begin", f"port {number}") for number in (1, 2)]
    assert ("stdout/lines", "missing") in brief(calibrated(here, *there).differences)


def test_event_that_only_some_remote_runs_have_is_remote_noise() -> None:
    """Once there, once not: neither what is extra nor what is missing says anything."""
    quiet, loud = events("load"), (*events("load"), *records({"event": "retried"}))
    assert calibrated(run(events=quiet), run(events=loud), run(events=quiet)).differences == ()
    assert calibrated(run(events=loud), run(events=quiet), run(events=loud)).differences == ()
    found = calibrated(run(events=quiet), run(events=loud), run(events=loud))
    assert brief(found.differences) == [("events/retried", "extra")]


def test_remote_side_that_ends_now_so_and_now_so_is_broken() -> None:
    """Two ends of one side are no evidence of parity, and none of a difference."""
    found = calibrated(run(), run(), run(result=failure(LOST)))
    assert found.broken == "2 remote runs end differently: succeeded, failed"
