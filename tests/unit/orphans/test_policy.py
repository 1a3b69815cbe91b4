"""The policy: every reason, each at its boundary."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from scripted_directory import KEY, ScriptedDirectory

from harness.model.sandbox import OwnershipTags, SandboxRecord
from harness.orphans.policy import (
    Decision,
    Evidence,
    ForeignFilter,
    Reason,
    Rules,
    Ruling,
    decide,
)

HOUR = 3600.0
RULES = Rules(max_age=timedelta(hours=2), grace=timedelta(seconds=60))
SIGNED = Evidence(signed_here=lambda tags: tags.is_signed_with(KEY))


@pytest.fixture
def listing() -> ScriptedDirectory:
    return ScriptedDirectory()


def judge(
    listing: ScriptedDirectory, *, rules: Rules = RULES, evidence: Evidence = SIGNED
) -> dict[str, Decision]:
    decisions = decide(listing.list(), now=listing.clock.now(), rules=rules, evidence=evidence)
    assert len(decisions) == len(listing.records)
    return {decision.record.sandbox_id: decision for decision in decisions}


def tags_of(record: SandboxRecord) -> OwnershipTags:
    tags = OwnershipTags.from_metadata(record.metadata)
    assert tags is not None
    return tags


@pytest.mark.parametrize(
    ("age_s", "timeout_s", "ruling", "reason"),
    [
        (2 * HOUR + 1, 24 * HOUR, Ruling.DUE, Reason.TOO_OLD),
        (2 * HOUR, 24 * HOUR, Ruling.KEPT, Reason.YOUNG),
        (2 * HOUR - 1, 24 * HOUR, Ruling.KEPT, Reason.YOUNG),
        (361, 300, Ruling.DUE, Reason.EXPIRED),
        (360, 300, Ruling.KEPT, Reason.YOUNG),
        (359, 300, Ruling.KEPT, Reason.YOUNG),
        (0, 300, Ruling.KEPT, Reason.YOUNG),
        (-5, 300, Ruling.KEPT, Reason.YOUNG),
    ],
)
def test_ours_is_due_only_past_its_age_or_its_expiry_and_grace(
    listing: ScriptedDirectory, age_s: float, timeout_s: float, ruling: Ruling, reason: Reason
) -> None:
    """One second too young is kept, running or paused."""
    for state in ("running", "paused"):
        listing.plant(state, age_s=age_s, timeout_s=timeout_s, state=state)
    for decision in judge(listing).values():
        assert (decision.ruling, decision.reason) == (ruling, reason)
        assert decision.age == timedelta(seconds=age_s)


@pytest.mark.parametrize(
    ("end_in_s", "ruling"),
    [(600, Ruling.KEPT), (1, Ruling.KEPT), (0, Ruling.DUE), (-1, Ruling.DUE)],
)
def test_renewed_sandbox_is_kept_until_its_new_end(
    listing: ScriptedDirectory, end_in_s: float, ruling: Ruling
) -> None:
    """Whoever asked for more time gets it, however old the sandbox; when it is over, it goes."""
    listing.plant("i1", age_s=5 * HOUR, timeout_s=300, end_in_s=end_in_s)
    decision = judge(listing)["i1"]
    assert decision.ruling is ruling
    assert (decision.reason is Reason.RENEWED) is (ruling is Ruling.KEPT)


def test_renewal_within_latency_is_none(listing: ScriptedDirectory) -> None:
    """A life that is longer than tagged by the create's latency was not renewed."""
    record = listing.plant("i1", age_s=3 * HOUR, timeout_s=24 * HOUR)
    listing.records["i1"] = replace(record, end_at=record.end_at + timedelta(seconds=9))
    assert judge(listing)["i1"].reason is Reason.TOO_OLD
    listing.records["i1"] = replace(record, end_at=record.end_at + timedelta(seconds=11))
    assert judge(listing)["i1"].reason is Reason.RENEWED


def test_renewal_of_a_paused_sandbox_does_not_count(listing: ScriptedDirectory) -> None:
    """The end of a paused sandbox is no expiry, so it keeps nothing alive."""
    listing.plant("i1", age_s=3 * HOUR, timeout_s=300, end_in_s=24 * HOUR, state="paused")
    assert judge(listing)["i1"].reason is Reason.EXPIRED


@pytest.mark.parametrize(("age_s", "reason"), [(61, Reason.OWNER_DEAD), (60, Reason.YOUNG)])
def test_owner_dead_makes_due_after_the_grace(
    listing: ScriptedDirectory, age_s: float, reason: Reason
) -> None:
    """A run of this machine whose process is gone needs nothing any more."""
    listing.plant("i1", age_s=age_s, run_id="run-dead")
    listing.plant("i2", age_s=age_s, run_id="run-alive")
    decisions = judge(listing, evidence=replace(SIGNED, dead_runs=frozenset({"run-dead"})))
    assert decisions["i1"].reason is reason
    assert decisions["i2"].reason is Reason.YOUNG


def test_run_that_goes_on_here_keeps_what_is_merely_old(listing: ScriptedDirectory) -> None:
    """Its gateway ends it when nobody needs it; past its own time it is due all the same."""
    listing.plant("i-old", age_s=9 * HOUR, timeout_s=24 * HOUR, run_id="run-live")
    listing.plant("i-over", age_s=9 * HOUR, timeout_s=HOUR, run_id="run-live", state="paused")
    listing.plant("i-other", age_s=9 * HOUR, timeout_s=24 * HOUR, run_id="run-elsewhere")
    decisions = judge(listing, evidence=replace(SIGNED, live_runs=frozenset({"run-live"})))
    assert {name: one.reason for name, one in decisions.items()} == {
        "i-old": Reason.IN_USE,
        "i-over": Reason.EXPIRED,
        "i-other": Reason.TOO_OLD,
    }


def test_not_ours_without_tags_whatever_its_age(listing: ScriptedDirectory) -> None:
    """Merely old is not ours."""
    listing.plant("i1", age_s=100 * HOUR, ours=False, metadata={"project": "theirs"})
    decision = judge(listing)["i1"]
    assert (decision.ruling, decision.reason) == (Ruling.NOT_OURS, Reason.NO_TAGS)


def test_not_ours_with_half_of_the_tags(listing: ScriptedDirectory) -> None:
    """Tags that cannot be read prove nothing."""
    record = listing.plant("i1", age_s=100 * HOUR)
    broken = {**record.metadata, "harness_created": "yesterday"}
    listing.records["i1"] = replace(record, metadata=broken)
    assert judge(listing)["i1"].reason is Reason.UNREADABLE_TAGS


@pytest.mark.parametrize("edit", ["owner", "run", "expires", "created", "nonce", "proof"])
def test_not_ours_with_an_edited_tag(listing: ScriptedDirectory, edit: str) -> None:
    """Copied tags with another owner, or any other edit, do not carry our proof."""
    record = listing.plant("i1", age_s=100 * HOUR)
    changed = listing.plant("i2", age_s=99 * HOUR, owner="bob@elsewhere:7", run_id="run-2")
    name = f"harness_{edit}"
    metadata = {**record.metadata, name: changed.metadata[name]}
    listing.records["i1"] = replace(record, metadata=metadata)
    decision = judge(listing)["i1"]
    assert (decision.ruling, decision.reason) == (Ruling.NOT_OURS, Reason.OTHER_DEPLOYMENT)


def test_not_ours_when_another_key_signed(listing: ScriptedDirectory) -> None:
    """A second deployment in the same team is left alone."""
    record = listing.plant("i1", age_s=100 * HOUR)
    theirs = tags_of(record).signed("e2b_" + "2" * 40)
    listing.records["i1"] = replace(record, metadata=theirs.to_metadata())
    assert judge(listing)["i1"].reason is Reason.OTHER_DEPLOYMENT


def test_unsigned_tags_do_where_there_is_no_key(listing: ScriptedDirectory) -> None:
    """Without a key to check with, readable tags decide; with one, they do not suffice."""
    record = listing.plant("i1", age_s=3 * HOUR)
    unsigned = replace(tags_of(record), proof="")
    listing.records["i1"] = replace(record, metadata=unsigned.to_metadata())
    assert judge(listing, evidence=Evidence())["i1"].ruling is Ruling.DUE
    assert judge(listing)["i1"].reason is Reason.OTHER_DEPLOYMENT


def test_copied_tags_are_told_by_their_instant(listing: ScriptedDirectory) -> None:
    """Whole, signed tags on a sandbox that started at another time are somebody's copy."""
    original = listing.plant("i1", age_s=10 * HOUR)
    copy = listing.plant("i2", age_s=9 * HOUR, ours=False, metadata=original.metadata)
    del listing.records["i1"]
    assert judge(listing)["i2"].reason is Reason.COPIED_TAGS
    early = replace(copy, started_at=tags_of(original).created_at - timedelta(seconds=121))
    listing.records["i2"] = early
    assert judge(listing)["i2"].reason is Reason.COPIED_TAGS


def test_copied_tags_at_once_are_told_by_their_original(listing: ScriptedDirectory) -> None:
    """Of two sandboxes with the same tags only the first is ours; of a tie, neither."""
    original = listing.plant("i1", age_s=10 * HOUR)
    copy = listing.plant("i2", age_s=10 * HOUR - 5, ours=False, metadata=original.metadata)
    decisions = judge(listing)
    assert decisions["i1"].ruling is Ruling.DUE
    assert decisions["i2"].reason is Reason.COPIED_TAGS
    listing.records["i2"] = replace(copy, started_at=original.started_at)
    assert {decision.reason for decision in judge(listing).values()} == {Reason.COPIED_TAGS}


def test_copied_tags_of_a_created_sandbox_are_its_own(listing: ScriptedDirectory) -> None:
    """A fork carries its original's tags; the ledger saw it created, so it is ours."""
    original = listing.plant("i1", age_s=10 * HOUR)
    listing.plant("i2", age_s=5 * HOUR, ours=False, metadata=original.metadata)
    created = {"run-1": frozenset({"i1", "i2"})}
    assert judge(listing, evidence=replace(SIGNED, created=created))["i2"].ruling is Ruling.DUE


def test_other_run_when_the_ledger_is_complete_and_does_not_list_it(
    listing: ScriptedDirectory,
) -> None:
    """A run whose books are closed created nothing but what they list."""
    listing.plant("i1", age_s=10 * HOUR)
    evidence = replace(
        SIGNED, created={"run-1": frozenset({"i9"})}, closed_books=frozenset({"run-1"})
    )
    assert judge(listing, evidence=evidence)["i1"].reason is Reason.OTHER_RUN
    open_books = replace(evidence, closed_books=frozenset())
    assert judge(listing, evidence=open_books)["i1"].ruling is Ruling.DUE


@pytest.mark.parametrize("skew_s", [-119, -60, 0, 60, 119])
def test_clock_skew_of_the_creator_changes_nothing(
    listing: ScriptedDirectory, skew_s: float
) -> None:
    """Tags are only subtracted from each other: a clock off by two minutes ends nothing early."""
    skew = timedelta(seconds=skew_s)
    for name, age_s in (("i1", 360), ("i2", 361)):
        record = listing.plant(name, age_s=age_s, timeout_s=300)
        tags = tags_of(record)
        skewed = replace(
            tags,
            created_at=record.started_at + skew,
            expires_at=record.started_at + skew + timedelta(seconds=300),
        ).signed(KEY)
        listing.records[name] = replace(record, metadata=skewed.to_metadata())
    decisions = judge(listing)
    assert decisions["i1"].ruling is Ruling.KEPT
    assert decisions["i2"].ruling is Ruling.DUE


@pytest.mark.parametrize(
    ("selection", "selected"),
    [
        (ForeignFilter(older_than=timedelta(hours=3)), {"i-old", "i-job"}),
        (ForeignFilter(older_than=timedelta(hours=5)), set()),
        (ForeignFilter(metadata={"job": "7"}), {"i-job", "i-young"}),
        (ForeignFilter(metadata={"job": "7"}, older_than=timedelta(hours=3)), {"i-job"}),
        (ForeignFilter(template="base"), {"i-old", "i-job", "i-young"}),
        (ForeignFilter(template="other"), set()),
        (ForeignFilter(template=""), set()),
        (
            ForeignFilter(older_than=timedelta(hours=3), include_paused=True),
            {"i-old", "i-job", "i-paused"},
        ),
        (ForeignFilter(), set()),
    ],
)
def test_foreign_filter_selects_only_what_it_names(
    listing: ScriptedDirectory, selection: ForeignFilter, selected: set[str]
) -> None:
    """All conditions hold together, paused ones are asked for by name, and none selects none."""
    listing.plant("i-old", age_s=4 * HOUR, ours=False)
    listing.plant("i-job", age_s=4 * HOUR, ours=False, metadata={"job": "7"})
    listing.plant("i-young", age_s=60, ours=False, metadata={"job": "7"})
    listing.plant("i-paused", age_s=4 * HOUR, ours=False, state="paused")
    listing.plant("i-ours", age_s=60)
    decisions = judge(listing, rules=replace(RULES, foreign=selection))
    due = {name for name, decision in decisions.items() if decision.ruling is Ruling.DUE}
    assert due == selected
    assert all(decisions[name].reason is Reason.SELECTED for name in due)


def test_foreign_filter_knows_a_template_by_id_and_by_name(listing: ScriptedDirectory) -> None:
    """A person knows the name, a listing shows the id."""
    record = listing.plant("i-named", age_s=60, ours=False)
    named = replace(record, template_id="qm1", template_name="pipeline")
    for text, selected in (("qm1", True), ("pipeline", True), ("", False), ("base", False)):
        selection = ForeignFilter(template=text)
        assert selection.selects(named, timedelta(seconds=60)) is selected
