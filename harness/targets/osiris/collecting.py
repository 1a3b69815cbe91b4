"""What a run left behind beside the product's own session: outputs, the sandbox, the wire."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import BrokenError
from harness.model.run import ExecutionContext, Json, PipelineCase
from harness.model.side import Endpoint
from harness.targets.after_image import fetch_after_image
from harness.targets.osiris.project import Project
from harness.targets.osiris.sandbox_home import copy_sandbox_outputs
from harness.targets.osiris.wire import given_here, read_ledger, sent_there

__all__ = ["LeftBehind", "collect_left_behind", "volatile_of"]

_OUTPUTS = "outputs"
_SANDBOX = "sandbox"
_OTHER_COPY = "in-the-sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """What was found.

    Attributes:
        outputs: the folder of output data, of this machine and of the sandbox.
        undelivered: those of its paths that were found in the sandbox alone.
        sandbox: the last sandbox's home; None on the local side, or where there is none.
        left_out: what of that home was not unpacked, and why.
        wire: what the run was given (see `harness.targets.osiris.wire`).
        broken: why something is missing that should be there.
    """

    outputs: Path
    undelivered: frozenset[str] = frozenset()
    sandbox: Path | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    wire: Mapping[str, Json] | None = None
    broken: str | None = None


def collect_left_behind(
    project: Project,
    case: PipelineCase,
    context: ExecutionContext,
    *,
    variables: Collection[str],
    endpoint: Endpoint | None = None,
    sandbox_ids: Sequence[str] = (),
    words: str | None = None,
    refused: bool = False,
) -> LeftBehind:
    """Copies output data into the run's folder, and tells what the run was given.

    A file that lies on this machine and, with other bytes, in the sandbox is kept twice:
    the sandbox's own under `in-the-sandbox/`.

    Args:
        project: where the product ran.
        case: what ran; bad weather may keep it from having a sandbox at all.
        context: the run's own folder.
        variables: names of what the user had set.
        endpoint: where its sandboxes were; None on the local side.
        sandbox_ids: those that are known, in order.
        words: what the product said, for a message.
        refused: the product refused to begin, so that there need not be a sandbox.
    """
    outputs = context.base_path / _OUTPUTS
    if endpoint is None:
        project.copy_outputs(outputs)
        return LeftBehind(outputs=outputs, wire=given_here(case, variables))
    try:
        sandbox, left_out = None, dict[str, str]()
        if sandbox_ids or not (refused or case.faults):
            sandbox, left_out = _after_image(endpoint, context, sandbox_ids, words)
        entries = read_ledger(endpoint)
    except BrokenError as error:
        project.copy_outputs(outputs)
        return LeftBehind(outputs=outputs, broken=error.happened)
    there = copy_sandbox_outputs(sandbox, outputs) if sandbox else frozenset()
    before = {name: (outputs / name).read_bytes() for name in there}
    here = project.copy_outputs(outputs)
    other = {name for name in here & there if (outputs / name).read_bytes() != before[name]}
    for name in other:
        copy = outputs / _OTHER_COPY / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(before[name])
    return LeftBehind(
        outputs=outputs,
        undelivered=frozenset({*(there - here), *(f"{_OTHER_COPY}/{name}" for name in other)}),
        sandbox=sandbox,
        left_out=left_out,
        wire=None if entries is None else sent_there(case, entries, sandbox_ids),
    )


def volatile_of(context: ExecutionContext, sandbox_ids: Sequence[str]) -> dict[str, str]:
    """This run's own places and ids; the longer ones contain the shorter, so order is the reader's.

    An id follows a quoted slash in the log of requests, where it is no word of its own.
    """
    return {
        **dict.fromkeys(sandbox_ids, "<sandbox>"),
        str(context.project_dir): "<project>",
        str(context.base_path): "<run-folder>",
        f"%2F{context.session_id}": "<quoted-run>",
    }


def _after_image(
    endpoint: Endpoint,
    context: ExecutionContext,
    sandbox_ids: Sequence[str],
    words: str | None,
) -> tuple[Path, dict[str, str]]:
    """The home folder of the last sandbox, and what of it was left out.

    Raises:
        BrokenError: if there is none to be had.
    """
    if not sandbox_ids:
        raise BrokenError(
            f"the product never had a sandbox; it said: {words}",
            expected="a sandbox for every run on the E2B side",
            next_step="check the endpoint's log",
        )
    image = fetch_after_image(endpoint, sandbox_ids[-1], context.base_path / _SANDBOX)
    return image.folder, image.left_out
