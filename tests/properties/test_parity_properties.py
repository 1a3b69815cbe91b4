"""What holds of parity for any evidence, not only for the examples of the unit tests."""

from __future__ import annotations

import copy
import csv
import io
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parity_runs import RunFolder, records, run

from harness.model.evidence import Evidence
from harness.model.run import Json
from harness.model.side import Side
from harness.parity import compare_case, normalize
from harness.parity.acceptance import accept
from harness.parity.alignment import align
from harness.parity.allowances import load_allowances
from harness.parity.proposals import as_toml, proposal

TODAY = date(2026, 6, 1)
SOME = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = st.sampled_from(["load", "clean", "join", "write", "a/b", "ünï"])
SCALARS: st.SearchStrategy[Json] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
)
VALUES: st.SearchStrategy[Json] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = st.dictionaries(
    st.text(alphabet="abcxyz_", min_size=1, max_size=4).map(lambda name: f"f_{name}"),
    VALUES,
    max_size=3,
)


@st.composite
def events(draw: st.DrawFn) -> list[dict[str, Json]]:
    """Events of a run: names, most of them with a step, and any fields."""
    told: list[dict[str, Json]] = []
    for name in draw(st.lists(st.sampled_from(["step_start", "note", "rows"]), max_size=8)):
        event: dict[str, Json] = {"event": name, **draw(FIELDS)}
        if draw(st.booleans()):
            event["step_id"] = draw(NAMES)
        told.append(event)
    return told


def evidence(told: list[dict[str, Json]], **rest: object) -> Evidence:
    return replace(run(events=records({"event": "run_start"}, *told)), **rest)  # type: ignore[arg-type]


def paths(local: Evidence, remote: Evidence) -> list[str]:
    found = compare_case(local, local, replace(remote, side=Side.E2B))
    assert found.broken is None
    return [item.path for item in found.differences]


@SOME
@given(told=events(), status=FIELDS)
def test_evidence_compared_with_itself_has_no_difference(
    told: list[dict[str, Json]], status: dict[str, Json]
) -> None:
    """No evidence whatever differs from itself."""
    one = evidence(told, status=status)
    assert paths(one, copy.deepcopy(one)) == []


@SOME
@given(value=VALUES)
def test_normalize_is_idempotent_on_any_value(value: Json) -> None:
    """Normalising what is normal changes nothing."""
    once = normalize(value)
    assert repr(normalize(once)) == repr(once)


@SOME
@given(
    text=st.lists(
        st.sampled_from(
            [
                *("20260101_120000_0a1b2c3d", "2026-01-01T12:00:00.5Z", "i" + "a1" * 10),
                *(" ", "\n", "took 1.25s", "pid=7", "0x7f00deadbeef", "<session:1>", "x", "/"),
                *("6f9619ff-8b86-d011-b42d-00c04fc964ff", "/tmp/tmpab12cd_x"),  # noqa: S108 - text
            ]
        ),
        max_size=8,
    ).map("".join)
)
def test_normalize_is_idempotent_on_volatile_text(text: str) -> None:
    """Tokens are never taken for volatile values again."""
    once = normalize(text)
    assert normalize(once) == once
    assert once.count("\n") == text.count("\n")


Mutation = Callable[[list[dict[str, Json]], int], None]


def lose(told: list[dict[str, Json]], at: int) -> None:
    del told[at]


def double(told: list[dict[str, Json]], at: int) -> None:
    told.insert(at, told[at])


def rename(told: list[dict[str, Json]], at: int) -> None:
    told[at] = {**told[at], "event": "renamed"}


def add_field(told: list[dict[str, Json]], at: int) -> None:
    told[at] = {**told[at], "planted": 1}


def retype(told: list[dict[str, Json]], at: int) -> None:
    told[at] = {**told[at], "planted_here": 1.0}


@SOME
@given(
    told=events().filter(bool),
    mutate=st.sampled_from([lose, double, rename, add_field]),
    data=st.data(),
)
def test_one_planted_mutation_is_always_found(
    told: list[dict[str, Json]], mutate: Mutation, data: st.DataObject
) -> None:
    """Whatever the run, one lost, doubled, renamed or widened event shows under `events/`."""
    mutated = list(told)
    mutate(mutated, data.draw(st.integers(0, len(told) - 1)))
    found = paths(evidence(told), evidence(mutated))
    assert found
    assert {path.split("/")[0] for path in found} == {"events"}


@SOME
@given(told=events(), value=SCALARS, other=SCALARS, data=st.data())
def test_one_changed_field_is_found_at_its_path(
    told: list[dict[str, Json]], value: Json, other: Json, data: st.DataObject
) -> None:
    """One field of one event that is another value is exactly one difference, at its path."""
    if repr(value) == repr(other):
        return
    at = data.draw(st.integers(0, len(told)))
    sides = [
        evidence([*told[:at], {"event": "planted", "f_x": x}, *told[at:]]) for x in (value, other)
    ]
    assert paths(*sides) == ["events/planted/fields/f_x"]


@SOME
@given(
    cells=st.lists(
        st.tuples(st.integers(0, 50), st.sampled_from(["a", "b", "", "ü", 'q"q', "x,y", "1.0"])),
        min_size=1,
        max_size=12,
    ),
    data=st.data(),
)
def test_one_changed_row_of_a_table_is_always_found(
    cells: list[tuple[int, str]], data: st.DataObject
) -> None:
    """A lost, doubled or changed row of any table shows under the table's path."""
    kind = data.draw(st.sampled_from(["lose", "double", "change"]))
    at = data.draw(st.integers(0, len(cells) - 1))
    changed = list(cells)
    if kind == "lose":
        del changed[at]
    elif kind == "double":
        changed.insert(at, changed[at])
    else:
        changed[at] = (changed[at][0] + 1, changed[at][1])
    with tempfile.TemporaryDirectory() as root:
        sides = [
            run(files=[RunFolder(Path(root) / name).file("o.csv", as_csv(rows))])
            for name, rows in (("local", cells), ("remote", changed))
        ]
        found = paths(*sides)
        assert found
        assert all(path.startswith("files/output/o.csv/") for path in found)
        assert paths(sides[0], sides[0]) == []


@SOME
@given(
    sessions=st.lists(
        st.from_regex(r"2026[01][1-9]2[0-8]_1[0-9]{5}_[0-9a-f]{8}", fullmatch=True),
        min_size=2,
        max_size=2,
        unique=True,
    ),
    told=events(),
)
def test_ids_are_stable_under_renamed_volatile_values(
    sessions: list[str], told: list[dict[str, Json]]
) -> None:
    """The same fault in a run with other ids of its own has the same id."""

    def ids(session: str) -> list[str]:
        mine = evidence([{"event": "a", "session": session, "text": f"in {session}"}, *told])
        theirs = evidence([{"event": "a", "session": session, "text": f"of {session}"}, *told])
        found = compare_case(mine, mine, replace(theirs, side=Side.E2B))
        return [item.id for item in found.differences]

    assert ids(sessions[0]) == ids(sessions[1])
    assert len(ids(sessions[0])) == 1


@SOME
@given(left=st.text("ab", max_size=12), right=st.text("abc", max_size=12))
def test_align_uses_every_index_once_and_in_order(left: str, right: str) -> None:
    """An alignment loses nothing and crosses nothing."""
    pairs = align(left, right)
    assert [at for at, _ in pairs if at is not None] == list(range(len(left)))
    assert [to for _, to in pairs if to is not None] == list(range(len(right)))


@SOME
@given(told=events(), planted=SCALARS, other=SCALARS, name=st.text(min_size=1, max_size=6))
def test_paste_ready_allowance_accepts_its_difference(
    told: list[dict[str, Json]], planted: Json, other: Json, name: str
) -> None:
    """Whatever the field is called, the offered entry accepts the difference and is not stale."""
    if repr(planted) == repr(other):
        return
    sides = [evidence([*told, {"event": "planted", f"f {name}": x}]) for x in (planted, other)]
    found = compare_case(sides[0], sides[0], replace(sides[1], side=Side.E2B)).differences
    with tempfile.TemporaryDirectory() as root:
        file = Path(root) / "1.toml"
        head = 'schema = 1\nproduct = "p"\nversion = "1"\n'
        entries = "\n".join(as_toml(proposal(item, reason="r", expires=TODAY)) for item in found)
        file.write_text(head + entries, encoding="utf-8")
        allowances = load_allowances(file, product="p", version="1").allowances
    judged = accept(found, allowances, today=TODAY, compared={"chain": 0}, library=["chain"])
    assert judged.open == ()
    assert judged.problems == ()


def as_csv(rows: list[tuple[int, str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "name"])
    writer.writerows(rows)
    return text.getvalue()
