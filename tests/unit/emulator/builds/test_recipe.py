"""What a build is asked to do, read from a request."""

from __future__ import annotations

from typing import Any

import pytest

from harness.emulator.builds.recipe import StepKind, read_recipe


def test_recipe_keeps_steps_in_order_with_their_words() -> None:
    """Kinds in any case; an argument that is missing counts as empty."""
    recipe = read_recipe(
        {
            "fromImage": "ubuntu:22.04",
            "steps": [
                {"type": "run", "args": ["echo hi"]},
                {"type": "COPY", "args": ["a", "b", "user"], "filesHash": "h"},
                {"type": "ENV", "args": ["A", "1", "B", "2"]},
            ],
            "startCmd": "serve",
        }
    )
    assert recipe.base == "ubuntu:22.04"
    assert [step.kind for step in recipe.steps] == [StepKind.RUN, StepKind.COPY, StepKind.ENV]
    assert [step.shown() for step in recipe.steps] == ["RUN echo hi", "COPY a b", "ENV A=1 B=2"]
    assert recipe.steps[0].arg(1) == ""
    assert (recipe.start_cmd, recipe.ready_cmd) == ("serve", "")


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("text", "must be an object"),
        ({"type": "JUMP"}, "unknown type 'JUMP'"),
        ({"type": "RUN"}, "needs 1 strings"),
        ({"type": "ENV", "args": ["A"]}, "needs 2 strings"),
        ({"type": "RUN", "args": [1]}, "needs 1 strings"),
        ({"type": "COPY", "args": ["a", "b"]}, "needs a filesHash"),
    ],
)
def test_recipe_names_every_step_that_does_not_fit(step: Any, words: str) -> None:
    """All problems of one body are told together."""
    body = {"steps": [step, {"type": "WALK"}], "fromImage": "a", "fromTemplate": "b"}
    with pytest.raises(ValueError, match=words) as refusal:
        read_recipe(body)
    assert "steps.2: unknown type 'WALK'" in str(refusal.value)
    assert "cannot both be given" in str(refusal.value)


def test_keys_are_equal_up_to_the_first_step_that_differs() -> None:
    """So much of an earlier build can be taken; a forced step ends that."""

    def keys(*commands: str, force: bool = False) -> tuple[list[str], int]:
        steps = [{"type": "RUN", "args": [command]} for command in commands]
        steps[-1]["force"] = force  # type: ignore[assignment]  # a step is JSON
        recipe = read_recipe({"steps": steps})
        return recipe.keys("base"), recipe.reusable_steps()

    one, reusable = keys("a", "b", "c")
    other, forced = keys("a", "x", "c", force=True)
    assert [mine == theirs for mine, theirs in zip(one, other, strict=True)] == [
        *(True, True),
        *(False, False),
    ]
    assert (reusable, forced) == (3, 2)
