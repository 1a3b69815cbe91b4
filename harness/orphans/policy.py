"""Which sandboxes are due, and why: a pure function of the listing, the ledger and the time.

A sandbox is due only when it is proven ours and nobody needs it any more. All
times are the service's own: the tags' instants come from some machine's clock and
are only ever subtracted from each other, so a wrong clock there, or here, ends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from harness.model.sandbox import TAG_PREFIX, OwnershipTags, SandboxRecord

__all__ = [
    "Decision",
    "Evidence",
    "ForeignFilter",
    "Reason",
    "Rules",
    "Ruling",
    "decide",
]

PAUSED = "paused"


class Ruling(StrEnum):
    """What is to become of a sandbox."""

    DUE = "due"
    KEPT = "kept"
    NOT_OURS = "not ours"


class Reason(StrEnum):
    """Why."""

    EXPIRED = "its time is over"
    TOO_OLD = "older than allowed"
    OWNER_DEAD = "its owner is gone"
    SELECTED = "not ours, and selected by the filter"
    YOUNG = "ours and young"
    RENEWED = "renewed since it was created"
    IN_USE = "its run goes on, on this machine"
    NO_TAGS = "carries no tags of ours"
    UNREADABLE_TAGS = "carries tags that cannot be read"
    OTHER_DEPLOYMENT = "tagged by another deployment, or its tags were edited"
    COPIED_TAGS = "its tags were copied from another sandbox"
    OTHER_RUN = "the run that it names did not create it"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignFilter:
    """Which sandboxes that are not ours may be ended all the same; all conditions together.

    Attributes:
        older_than: minimum age.
        metadata: what they must carry, exactly.
        template: their template, by id or name.
        include_paused: paused ones too; ending one loses its snapshot for good.
    """

    older_than: timedelta | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    template: str | None = None
    include_paused: bool = False

    @property
    def is_explicit(self) -> bool:
        """Whether it names anything at all; one that does not would select everything."""
        return self.older_than is not None or bool(self.metadata) or self.template is not None

    def selects(self, record: SandboxRecord, age: timedelta) -> bool:
        """Whether the sandbox fits every condition."""
        return (
            self.is_explicit
            and (self.older_than is None or age > self.older_than)
            and all(record.metadata.get(name) == text for name, text in self.metadata.items())
            and (self.template is None or self.template in _names_of_template(record))
            and (self.include_paused or record.state != PAUSED)
        )


def _names_of_template(record: SandboxRecord) -> frozenset[str]:
    return frozenset({record.template_id, record.template_name}) - {""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a sandbox of ours is due.

    Attributes:
        max_age: older than this is too old, unless it was renewed or its run goes on here.
        grace: how long after its expiry, and after its start where the owner is gone.
        copy_tolerance: how far the tags' instant of creation may be from the
            service's; farther apart, the tags belong to another sandbox.
        renewal_tolerance: how much longer than tagged a life may be by mere latency.
        foreign: which sandboxes that are not ours are due too; None for none.
    """

    max_age: timedelta = timedelta(hours=2)
    grace: timedelta = timedelta(seconds=60)
    copy_tolerance: timedelta = timedelta(seconds=120)
    renewal_tolerance: timedelta = timedelta(seconds=10)
    foreign: ForeignFilter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known beside the listing.

    Attributes:
        created: ids that our ledgers saw created, by run.
        closed_books: runs whose ledger has no create left open, so that a sandbox
            that it does not list was not created by that run.
        dead_runs: runs whose owner was on this machine and is gone.
        live_runs: runs whose owner is on this machine, and so is their gateway.
        ownerless_ids: sandboxes whose creators were on this machine and are gone.
        ownerless_nonces: creates whose answer never reached anybody.
        signed_here: whether tags carry the proof of our own key; None where there is
            no key to check with, and readable tags have to do.
    """

    created: Mapping[str, Collection[str]] = field(default_factory=dict)
    closed_books: Collection[str] = frozenset()
    dead_runs: Collection[str] = frozenset()
    live_runs: Collection[str] = frozenset()
    ownerless_ids: Collection[str] = frozenset()
    ownerless_nonces: Collection[str] = frozenset()
    signed_here: Callable[[OwnershipTags], bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One sandbox and what is to become of it.

    Attributes:
        record: the sandbox as it was listed.
        ruling: due, kept, or not ours.
        reason: why.
        age: since its start, by the service's clock.
        tags: its ownership tags; None where it carries none that can be read.
    """

    record: SandboxRecord
    ruling: Ruling
    reason: Reason
    age: timedelta
    tags: OwnershipTags | None = None


def decide(
    records: Sequence[SandboxRecord], *, now: datetime, rules: Rules, evidence: Evidence
) -> tuple[Decision, ...]:
    """A decision for each sandbox, in the order of the listing.

    Args:
        records: the whole listing; copies of tags are only seen beside their original.
        now: the service's time.
        rules: when a sandbox is due.
        evidence: what is known beside the listing.
    """
    tags = [OwnershipTags.from_metadata(record.metadata) for record in records]
    originals = _originals(records, tags, rules)
    return tuple(
        _judge(record, its, now=now, rules=rules, evidence=evidence, originals=originals)
        for record, its in zip(records, tags, strict=True)
    )


_DUE = frozenset({Reason.EXPIRED, Reason.TOO_OLD, Reason.OWNER_DEAD})


def _judge(
    record: SandboxRecord,
    tags: OwnershipTags | None,
    *,
    now: datetime,
    rules: Rules,
    evidence: Evidence,
    originals: Mapping[OwnershipTags, str | None],
) -> Decision:
    age = now - record.started_at
    reason = _why_not_ours(record, tags, evidence, originals)
    if reason is not None or tags is None:
        selected = rules.foreign is not None and rules.foreign.selects(record, age)
        ruling = Ruling.DUE if selected else Ruling.NOT_OURS
        return Decision(
            record=record,
            ruling=ruling,
            reason=Reason.SELECTED if selected else reason or Reason.NO_TAGS,
            age=age,
            tags=tags,
        )
    due = _why_due(record, tags, now, rules, evidence)
    return Decision(
        record=record,
        ruling=Ruling.DUE if due in _DUE else Ruling.KEPT,
        reason=due,
        age=age,
        tags=tags,
    )


def _why_due(
    record: SandboxRecord,
    tags: OwnershipTags,
    now: datetime,
    rules: Rules,
    evidence: Evidence,
) -> Reason:
    tagged_life = tags.expires_at - tags.created_at
    if _renewed(record, tagged_life, now, rules):
        return Reason.RENEWED
    age = now - record.started_at
    if _owner_is_dead(record, tags, evidence) and age > rules.grace:
        return Reason.OWNER_DEAD
    if age > tagged_life + rules.grace:
        return Reason.EXPIRED
    if age > rules.max_age:
        return Reason.IN_USE if tags.run_id in evidence.live_runs else Reason.TOO_OLD
    return Reason.YOUNG


def _owner_is_dead(record: SandboxRecord, tags: OwnershipTags, evidence: Evidence) -> bool:
    return (
        tags.run_id in evidence.dead_runs
        or record.sandbox_id in evidence.ownerless_ids
        or (bool(tags.nonce) and tags.nonce in evidence.ownerless_nonces)
    )


def _renewed(record: SandboxRecord, tagged_life: timedelta, now: datetime, rules: Rules) -> bool:
    """Whether somebody asked for more time after the create, and it is not over yet.

    The end of a paused sandbox says nothing: the service puts another instant there.
    """
    if record.state == PAUSED or record.end_at <= now:
        return False
    return record.end_at - record.started_at > tagged_life + rules.renewal_tolerance


def _why_not_ours(
    record: SandboxRecord,
    tags: OwnershipTags | None,
    evidence: Evidence,
    originals: Mapping[OwnershipTags, str | None],
) -> Reason | None:
    if tags is None:
        return _why_no_tags(record)
    if evidence.signed_here is not None and not evidence.signed_here(tags):
        return Reason.OTHER_DEPLOYMENT
    if record.sandbox_id in evidence.created.get(tags.run_id, ()):
        return None
    if tags.run_id in evidence.closed_books:
        return Reason.OTHER_RUN
    return None if originals.get(tags) == record.sandbox_id else Reason.COPIED_TAGS


def _why_no_tags(record: SandboxRecord) -> Reason:
    tagged = any(name.startswith(TAG_PREFIX) for name in record.metadata)
    return Reason.UNREADABLE_TAGS if tagged else Reason.NO_TAGS


def _originals(
    records: Sequence[SandboxRecord], tags_of_each: Sequence[OwnershipTags | None], rules: Rules
) -> dict[OwnershipTags, str | None]:
    """Whose tags they are: of those whose start fits them the nearest; None where two are."""
    nearest: dict[OwnershipTags, tuple[timedelta, str | None]] = {}
    for record, tags in zip(records, tags_of_each, strict=True):
        if tags is None:
            continue
        apart = abs(record.started_at - tags.created_at)
        before = nearest.get(tags, (rules.copy_tolerance, None))[0]
        if apart < before or (apart == before and tags not in nearest):
            nearest[tags] = apart, record.sandbox_id
        elif apart == before:
            nearest[tags] = apart, None
    return {tags: sandbox_id for tags, (_, sandbox_id) in nearest.items()}
