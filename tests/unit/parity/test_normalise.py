from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from parity_runs import OK, RunFolder, records, run

from harness.model.run import Json
from harness.parity.normalise import normalise_evidence, normalize
from harness.parity.rules import FIELD_RULES, TEXT_RULES, FieldRule, TextRule

FIRST = "20260101_120000_0a1b2c3d"
SECOND = "20260101_120005_ffffffff"
SANDBOX = "i" + "a1" * 10
OTHER_SANDBOX = "i" + "b2" * 10


def test_normalize_one_id_in_many_places_is_one_token() -> None:
    """Identity is kept: the same value is the same token wherever it stands."""
    value: Json = {"session": FIRST, "path": f"logs/{FIRST}/events.jsonl", "text": f"[{FIRST}] hi"}
    assert normalize(value) == {
        "session": "<session:1>",
        "path": "logs/<session:1>/events.jsonl",
        "text": "[<session:1>] hi",
    }


def test_normalize_two_sandboxes_get_two_tokens() -> None:
    """Two different ids never become one."""
    assert normalize(f"{SANDBOX} then {OTHER_SANDBOX} then {SANDBOX}") == (
        "<sandbox:1> then <sandbox:2> then <sandbox:1>"
    )


def test_normalize_swapped_references_still_show() -> None:
    """Control: two records whose ids were swapped do not compare equal."""
    told = [{"session": FIRST}, {"session": SECOND}, {"text": f"uses {FIRST}"}]
    swapped = [{"session": FIRST}, {"session": SECOND}, {"text": f"uses {SECOND}"}]
    assert normalize(told) != normalize(swapped)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("at 2026-01-01T12:00:00.123456+00:00 done", "at <time> done"),
        ("2026-01-01 12:00:00,123 INFO", "<time> INFO"),
        ("run 20260101t120000z_x", "run <time>_x"),
        ("took 1.25s", "took <duration>s"),
        ("took 12 ms, then took 3s", "took <duration> ms, then took <duration>s"),
        ("Finished in 4 seconds", "Finished in <duration> seconds"),
        ("elapsed: 0:00:01.123456", "elapsed: <duration>"),
        ("2026/01/01 12:00:00 INFO up", "<time> INFO up"),
        ("Date: Thu, 01 Jan 2026 12:00:00 GMT", "Date: <time>"),
        ("Thu Jan  1 12:00:00 2026", "<time>"),
        ("<object at 0x7f00deadbeef>", "<object at <address>>"),
        ("pid=1234 pid=99 pid=1234", "pid=<pid:1> pid=<pid:2> pid=<pid:1>"),
        ("/tmp/tmpab12cd_x/out", "<tmp:1>/out"),  # noqa: S108 - text, not a place
        ("/opt/v/lib/python3.11/site-packages/x.py", "<site-packages>/x.py"),
        ("01JM831KH1DTXST0ZQ0PD7NB2V", "<ulid:1>"),
        ("6f9619ff-8b86-d011-b42d-00c04fc964ff", "<uuid:1>"),
    ],
)
def test_normalize_volatile_text_becomes_a_token(text: str, normal: str) -> None:
    """Each declared rule for text finds what it is for."""
    assert normalize(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        "timeout after 30s",
        "took 12 rows",
        "overtook 3s",
        "wait up to 0:00:30",
        "Jan 2026",
        "2026/01/01",
        "version 0.5.7",
        "total 12.50",
        "range 1-2-3",
        "0x1f",
        "island of i18n and internationalization",
        "rows: 20260101",
        "2026-01-01",
        "deadbeef",
        "/tmp/data/out.csv",  # noqa: S108 - text, not a place
    ],
)
def test_normalize_ordinary_text_stays(text: str) -> None:
    """Control: what only looks a little like a volatile value is data."""
    assert normalize(text) == text


def test_normalize_fields_by_name_and_shape() -> None:
    """A field's rule only touches a value of the declared shape."""
    value: Json = {
        "ts": "2026-01-01T12:00:00Z",
        "duration": 0.25,
        "duration_ms": 12,
        "collected_at": 1767268800.5,
        "events_log_size": 7825,
        "pid": 4711,
    }
    assert normalize(value) == {
        "ts": "<time>",
        "duration": "<duration>",
        "duration_ms": "<duration>",
        "collected_at": "<unix-time>",
        "events_log_size": "<log-size>",
        "pid": "<pid:1>",
    }


@pytest.mark.parametrize(
    "value",
    [
        {"ts": None},
        {"ts": "yesterday"},
        {"ts": True},
        {"duration": -1},
        {"duration": None},
        {"duration": "long"},
        {"duration": True},
        {"events_log_size": 0},
        {"pid": 0},
        {"session": "-"},
        {"session_id": "local"},
        {"timeout_s": 30},
    ],
)
def test_normalize_a_field_of_another_shape_stays(value: dict[str, Json]) -> None:
    """Control: a missing, negative or oddly typed value is not hidden behind a token."""
    assert normalize(value) == value


@pytest.mark.parametrize(
    ("value", "normal"),
    [
        ("2026-01-01T12:00:00Z", "<time>"),
        ("2026-01-01T12:00:00.5+00:00", "<time>"),
        ("2026-01-01T12:00:00", "<zoneless-time>"),
        ("2026-01-01T14:00:00+02:00", "<zoned-time>"),
        (1767268800, "<unix-time>"),
        (1767268800.5, "<unix-time>"),
        (1767268800123, "<unix-ms-time>"),
        (1767268800123456789, "<unix-ns-time>"),
    ],
)
def test_normalize_an_instant_keeps_how_it_is_written(value: Json, normal: str) -> None:
    """Only the instant is noise: a zone that was lost, or a number for text, is a difference."""
    assert normalize({"ts": value}) == {"ts": normal}


def test_evidence_time_that_goes_back_is_told_from_others() -> None:
    """A record later in the stream with an earlier time shows; a second of jitter does not."""
    seconds = (10, 12, 11.5, 3, 13)
    told = records(
        *({"event": "e", "ts": f"2026-01-01T12:00:{second:04.1f}+00:00"} for second in seconds)
    )
    normal = normalize(run(events=told)).events or ()
    assert [record.fields["ts"] for record in normal] == [
        *("<time>", "<time>", "<time>", "<set-back-time>", "<time>")
    ]


def test_normalize_a_metric_of_time_loses_its_value_only() -> None:
    """A metric that measures time is reported, never compared; a count is compared."""
    timed: dict[str, Json] = {"metric": "step_load_duration", "value": 0.5, "unit": "seconds"}
    counted: dict[str, Json] = {"metric": "rows_written", "value": 5}
    assert normalize(timed) == {**timed, "value": "<duration>"}
    assert normalize(counted) == counted


def test_normalize_never_drops_a_line_or_a_field() -> None:
    """As many lines and fields come out as went in."""
    log = f"2026-01-01 12:00:00 a\r\n\n{FIRST}\nlast without end"
    assert normalize(log).count("\n") == log.count("\n")
    value: dict[str, Json] = {"ts": 1767268800, "a": None, "b": [], "c": {"d": ""}}
    normal = normalize(value)
    assert isinstance(normal, dict)
    assert list(normal) == list(value)


def test_normalize_a_dataclass_becomes_its_fields() -> None:
    """A product's own result can be normalised as it is."""

    @dataclass
    class Answer:
        success: bool
        duration_seconds: float
        where: Path
        when: datetime

    answer = Answer(
        success=True,
        duration_seconds=1.5,
        where=Path("/x") / FIRST,
        when=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert normalize(answer) == {
        "success": True,
        "duration_seconds": "<duration>",
        "where": "/x/<session:1>",
        "when": "<time>",
    }


def test_normalize_two_results_of_one_program_are_equal() -> None:
    """The guide's own words hold: normalize(local_result) == normalize(e2b_result)."""
    assert normalize(OK) == normalize(replace(OK, duration_s=7.5))
    assert normalize(OK) != normalize(replace(OK, exit_code=1))


def test_evidence_declared_values_are_replaced_everywhere(tmp_path: Path) -> None:
    """What the run calls volatile is a token in events, status, streams and file names."""
    folder = RunFolder(tmp_path)
    evidence = run(
        result=replace(OK, stdout="wrote /home/x/project/out.csv\n"),
        events=records({"event": "run_start", "dir": "/home/x/project"}),
        status={"session_path": "/home/x/project/s"},
        files=[folder.file("x-/home/x/project.txt".replace("/", "_"), "")],
        volatile={"/home/x/project": "<project>"},
    )
    normal = normalise_evidence(evidence).evidence
    assert normal.result.stdout == "wrote <project:1>/out.csv\n"
    assert normal.events is not None
    assert normal.events[0].fields["dir"] == "<project:1>"
    assert normal.status == {"session_path": "<project:1>/s"}


def test_evidence_a_longer_path_is_not_the_declared_one() -> None:
    """Control: `/p/project2` is not `/p/project` and a 2."""
    evidence = run(
        status={"a": "/p/project2/x", "b": "/p/project/x"}, volatile={"/p/project": "<project>"}
    )
    normal = normalise_evidence(evidence).evidence
    assert normal.status == {"a": "/p/project2/x", "b": "<project:1>/x"}


def test_evidence_a_date_far_from_the_run_is_data() -> None:
    """Control: a shifted date in an error text is not taken for the time of the run."""
    evidence = run(
        events=records(
            {"event": "run_start", "ts": "2026-01-01T12:00:00+00:00"},
            {"event": "note", "text": "bad 1999-12-31 23:59:59", "ts": "1970-01-01T00:00:00+00:00"},
        )
    )
    normal = normalise_evidence(evidence).evidence
    assert normal.events is not None
    assert normal.events[0].fields["ts"] == "<time>"
    assert normal.events[1].fields == evidence.events[1].fields  # type: ignore[index]  # not None here


def test_evidence_normalised_twice_is_the_same() -> None:
    """Normalising is idempotent."""
    evidence = run(
        events=records({"event": "run_start", "session": FIRST, "ts": "2026-01-01T12:00:00Z"}),
        volatile={FIRST: "<session>"},
    )
    once = normalize(evidence)
    assert normalize(once) == once


def test_every_rule_says_why_and_who_says_so() -> None:
    """A rule without a reason or a source hides something for no reason."""
    rules: list[FieldRule | TextRule] = [*FIELD_RULES, *TEXT_RULES]
    assert [rule.name for rule in rules if not rule.reason.strip() or not rule.source.strip()] == []
    names = [rule.name for rule in rules]
    assert len(names) == len(set(names))
