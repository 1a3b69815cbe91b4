"""A drawn pipeline as a value: it can be run, measured, and made smaller.

What is smaller is tried from the boldest cut to the finest: a few steps alone, a
step less, a step that does less, one detail less. Each candidate is a whole
pipeline again, with every name that a step needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import yaml

from harness.model.run import Json, PipelineCase
from harness.targets.osiris.exploration.steps import (
    Extract,
    Generate,
    Operation,
    Probe,
    Step,
    Transform,
    Write,
)

__all__ = ["OsirisSketch"]

DEADLINE_S = 60.0
GREETING, FILE = "a greeting", "named"
VARIABLE, COLOUR = "HARNESS_COLOUR", "green"
# Names that people give, in the order in which a smaller pipeline takes them.
_PLAIN = ("generate", "orders", "customers", "items", "prices", "stores", "visits", "events")
_PLAIN_TRANSFORM = ("next", "join", "clean", "report", "totals", "latest", "merged", "final")
_PLAIN_WRITE = ("write", "export", "archive", "publish", "backup", "share", "print")


@dataclass(frozen=True, kw_only=True)
class OsirisSketch:
    """One drawn pipeline; implements `harness.ports.Sketch`.

    Attributes:
        steps: in their order; a step needs earlier ones only.
    """

    steps: tuple[Step, ...]

    @property
    def step_count(self) -> int:
        """How many steps it has."""
        return len(self.steps)

    @cached_property
    def size_bytes(self) -> int:
        """The length of everything that it consists of."""
        case = self.case("explored", purpose="")
        files = sum(len(name) + len(data) for name, data in case.files.items())
        return len(case.oml.encode()) + files + sum(len(k) + len(v) for k, v in case.env.items())

    @cached_property
    def weight(self) -> tuple[int, ...]:
        """Steps, then bytes as if every name were plain, and whether every name is.

        So a plain name counts as smaller than a short odd one, and pipelines that differ
        in names alone become one, which is run once.
        """
        plain = _renamed(self.steps)
        if plain == self.steps:
            return self.step_count, self.size_bytes, 0
        return self.step_count, OsirisSketch(steps=plain).size_bytes, 1

    def case(self, name: str, *, purpose: str) -> PipelineCase:
        """The pipeline as a case; it promises nothing of its end."""
        document: dict[str, Json] = {"oml_version": "0.1.0", "name": name}
        env: dict[str, str] = {}
        if any(isinstance(step, Generate) and step.parameter for step in self.steps):
            document["params"] = {"greeting": {"default": "the default"}}
            env["OSIRIS_PARAM_GREETING"] = GREETING
        if any(isinstance(step, Write) and step.parameter for step in self.steps):
            params = document.setdefault("params", {})
            if isinstance(params, dict):
                params["file"] = {"default": "unnamed"}
            env["OSIRIS_PARAM_FILE"] = FILE
        if any(isinstance(step, Generate) and step.probe is Probe.VARIABLE for step in self.steps):
            env[VARIABLE] = COLOUR
        document["steps"] = [step.oml() for step in self.steps]
        files = {
            step.path: step.content()
            for step in self.steps
            if isinstance(step, Extract) and not step.absent
        }
        if any(isinstance(step, Generate) and step.probe is Probe.FILE for step in self.steps):
            files.setdefault("input/lookup.csv", b"id\n1\n")
        return PipelineCase(
            name=name,
            purpose=purpose,
            oml=yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000),
            files=files,
            env=env,
            outputs=tuple(
                f"output/{FILE if step.parameter else f'rows-{step.number}'}.csv"
                for step in self.steps
                if isinstance(step, Write)
            ),
            expect_success=None,
            deadline_s=DEADLINE_S,
        )

    def smaller(self) -> Iterator[OsirisSketch]:
        """Every pipeline that is one cut smaller, the boldest cut first, each once."""
        seen = {self}
        for steps in self._cuts():
            candidate = OsirisSketch(steps=steps)
            if steps and candidate not in seen:
                seen.add(candidate)
                yield candidate

    def _cuts(self) -> Iterator[tuple[Step, ...]]:
        yield _renamed(self.steps)
        yield from self._alone()
        yield from self._without_one()
        for number, step in enumerate(self.steps):
            for simpler in _simpler(step, self.steps[:number]):
                yield (*self.steps[:number], simpler, *self.steps[number + 1 :])

    def _alone(self) -> Iterator[tuple[Step, ...]]:
        """Each step with no more than what it needs, fewest steps first."""
        whole = [_with_needs(self.steps, step.id) for step in self.steps]
        yield from sorted((steps for steps in whole if len(steps) < len(self.steps)), key=len)

    def _without_one(self) -> Iterator[tuple[Step, ...]]:
        """Without one step; what needed it needs what that needed, or goes with it."""
        for gone in reversed(self.steps):
            left: list[Step] = []
            for step in self.steps:
                if step is gone:
                    continue
                if gone.id not in step.needs:
                    left.append(step)
                    continue
                needs = tuple(
                    dict.fromkeys(
                        name
                        for old in step.needs
                        for name in (gone.needs if old == gone.id else (old,))
                    )
                )
                if needs and not isinstance(step, Extract):
                    left.append(replace(step, needs=needs))
            yield _consistent(left)


def _with_needs(steps: tuple[Step, ...], name: str) -> tuple[Step, ...]:
    wanted = {name}
    for step in reversed(steps):
        if step.id in wanted:
            wanted.update(step.needs)
    return tuple(step for step in steps if step.id in wanted)


def _consistent(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Without the steps that need what is not there."""
    kept: list[Step] = []
    for step in steps:
        if set(step.needs) <= {other.id for other in kept}:
            kept.append(step)
    return tuple(kept)


def _simpler(step: Step, before: tuple[Step, ...]) -> Iterator[Step]:
    """The step with less in it, the plainest first."""
    plain = Generate(id=step.id)
    if isinstance(step, Generate):
        yield plain
        yield replace(step, needs=())
        yield replace(step, parameter=False)
        yield from (replace(step, columns=(name,)) for name in step.columns)
        yield from (
            replace(step, columns=tuple(other for other in step.columns if other != name))
            for name in step.columns
            if len(step.columns) > 1
        )
        yield from (replace(step, rows=rows) for rows in (0, 1, step.rows // 2) if rows < step.rows)
    elif isinstance(step, Extract):
        yield plain
        yield replace(step, rows=1, delimiter=",", encoding="utf-8")
        yield replace(step, rows=0)
        yield replace(step, delimiter=",")
        yield replace(step, encoding="utf-8")
    elif isinstance(step, Transform):
        yield plain
        yield from (replace(step, needs=(name,), operation=Operation.COPY) for name in step.needs)
        yield from (replace(step, needs=(name,)) for name in step.needs)
        yield replace(step, operation=Operation.COPY)
    else:
        yield replace(step, options=(), parameter=False)
        yield replace(step, parameter=False)
        yield from (
            replace(step, options=tuple(pair for pair in step.options if pair != option))
            for option in step.options
        )
        yield from (replace(step, needs=(name,)) for name in step.needs if len(step.needs) > 1)
        sources = [other.id for other in before if not isinstance(other, Write)]
        yield from (replace(step, needs=(name,)) for name in sources[:1])


def _renamed(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The same steps under plain names."""
    pools = {
        Generate: iter(_PLAIN),
        Extract: iter(("extract", *(f"extract-{number}" for number in range(2, 9)))),
        Transform: iter(_PLAIN_TRANSFORM),
        Write: iter(_PLAIN_WRITE),
    }
    names = {step.id: next(pools[type(step)], step.id) for step in steps}
    renamed: list[Step] = []
    writers = 0
    for step in steps:
        needs = tuple(names[name] for name in step.needs)
        if isinstance(step, Write):
            writers += 1
            renamed.append(replace(step, id=names[step.id], needs=needs, number=writers))
        elif isinstance(step, Extract):
            renamed.append(replace(step, id=names[step.id]))
        else:
            renamed.append(replace(step, id=names[step.id], needs=needs))
    return tuple(renamed)
