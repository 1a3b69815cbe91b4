"""What is known to be behind a difference that nothing accepts.

A pipeline that nobody has seen meets the divergences that are known already. To be told
their causes is worth more than a list of sixty differences; but they stay open, since
nobody has said that this pipeline may have them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from harness.model.difference import Allowance, Difference
from harness.parity.acceptance import matches
from harness.parity.allowances import AllowanceFile, Cause

__all__ = ["Known", "known_causes"]

MIN_TELLING = 12  # characters: `true` here and `false` there tell no cause from another
Known = dict[tuple[str, str | None], Allowance]


def known_causes(
    differences: Iterable[Difference], file: AllowanceFile, *, failed: Collection[str]
) -> Known:
    """The cause of each difference that has a known one, by its id and what explains it.

    What follows from a difference with a known cause has the same one. A cause that the file
    declares comes first; else an allowance for other pipelines, where it says at some length
    which values it is about: a path alone tells no cause from another.

    Args:
        differences: open ones.
        file: what is known of the product.
        failed: the pipelines that failed on the remote side.
    """
    causes = [*file.causes, *_of_allowances(file.allowances)]
    everything = list(differences)
    paths: dict[str, set[str]] = {}
    for item in everything:
        for name in item.pipelines:
            paths.setdefault(name, set()).add(item.path)
    found: Known = {}
    for item in everything:
        anywhere = replace(item, pipelines=())
        has_failed = set(item.pipelines) <= set(failed)
        beside = set.intersection(*(paths[name] for name in item.pipelines))
        for cause in causes:
            fits = (has_failed or not cause.of_failures) and cause.beside in {None, *beside}
            if fits and matches(cause.about, anywhere):
                found[item.id, item.explained_by] = cause.about
                break
    heads = {identity: by for (identity, explained_by), by in found.items() if not explained_by}
    for item in everything:
        if item.explained_by in heads:
            found[item.id, item.explained_by] = heads[item.explained_by]
    return found


def _of_allowances(allowances: Iterable[Allowance]) -> Iterable[Cause]:
    """Those that say which values they are about, for whatever pipeline."""
    for item in allowances:
        if len(f"{item.local or ''}{item.remote or ''}") >= MIN_TELLING:
            yield Cause(about=replace(item, pipelines=()), of_failures=False)
