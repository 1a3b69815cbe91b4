"""What a run's steps were given from outside, on either side, in the same terms.

Here a step has the variables and the files of the project; in a sandbox it has what was
sent there, which the emulator's ledger of requests tells. Values of variables are in
neither: their names are enough to compare.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath

import httpx

from harness.errors import BrokenError
from harness.model.run import Json, PipelineCase
from harness.model.side import Endpoint

__all__ = ["given_here", "read_ledger", "sent_there"]

_HOME = PurePosixPath("/home/user")
_TOKEN_HEADER = "X-Harness-Token"  # noqa: S105 - the header's name
_TIMEOUT_S = 60.0
_OWN_LABEL = "harness_"
# Read on this machine by the product itself, not by a step.
_SETTINGS = frozenset({"osiris_connections.yaml", ".env"})


def given_here(case: PipelineCase, variables: Collection[str]) -> dict[str, Json]:
    """What steps on this machine have: the user's variables, and the project's files by size."""
    return {
        "environment": dict.fromkeys(sorted(variables), "set"),
        "files": {
            name: len(data) for name, data in sorted(case.files.items()) if name not in _SETTINGS
        },
    }


def sent_there(
    case: PipelineCase, entries: Iterable[Mapping[str, Json]], sandbox_ids: Collection[str]
) -> dict[str, Json]:
    """What was sent to the run's sandboxes.

    Args:
        case: tells the project's files from the product's own.
        entries: of the ledger.
        sandbox_ids: the run's sandboxes.

    Returns:
        `environment` and `files` as `given_here` has them; `commands` in order,
        `product_files` by size, and `sandbox`: how each was asked for.
    """
    environment: dict[str, Json] = {}
    files: dict[str, Json] = {}
    own: dict[str, Json] = {}
    commands: list[Json] = []
    sandboxes: list[Json] = []
    for entry in entries:
        details = entry.get("details")
        if entry.get("sandbox_id") not in sandbox_ids or not isinstance(details, dict):
            continue
        names = details.get("env_names")
        environment |= dict.fromkeys(map(str, names if isinstance(names, list) else ()), "set")
        if "command" in details:
            commands.append(details["command"])
        elif entry.get("path") == "/v2/sandboxes" or "template" in details:
            sandboxes.append(_asked_for(details))
        for name, size in _written(details):
            target = files if name in case.files else own
            target[name] = size
    return {
        "environment": dict(sorted(environment.items())),
        "files": dict(sorted(files.items())),
        "commands": commands,
        "product_files": dict(sorted(own.items())),
        "sandbox": sandboxes,
    }


def read_ledger(endpoint: Endpoint) -> list[dict[str, Json]] | None:
    """Every request that the endpoint saw; None where it does not see what sandboxes are sent.

    Raises:
        BrokenError: if it does not answer.
    """
    if endpoint.admin_url is None or endpoint.name != "emulator":
        return None
    headers = {_TOKEN_HEADER: endpoint.admin_token or ""}
    try:
        with httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as client:
            answer = client.get(f"{endpoint.admin_url}/ledger", headers=headers)
            answer.raise_for_status()
    except httpx.HTTPError as error:
        raise BrokenError(
            f"no ledger of requests: {type(error).__name__}: {error}",
            expected="the endpoint's own interface to answer",
            next_step="check that the endpoint still runs",
        ) from error
    # Not str.splitlines: a command may hold Unicode's own line ends.
    return [json.loads(line) for line in answer.text.split("\n") if line]


def _asked_for(details: Mapping[str, Json]) -> dict[str, Json]:
    metadata = details.get("metadata")
    labels = metadata if isinstance(metadata, dict) else {}
    return {
        **{key: value for key, value in details.items() if key not in {"metadata", "env_names"}},
        "metadata": {key: value for key, value in labels.items() if not key.startswith(_OWN_LABEL)},
    }


def _written(details: Mapping[str, Json]) -> Iterable[tuple[str, Json]]:
    listed = details.get("files")
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict):
            path = PurePosixPath(str(item.get("path")))
            inside = path.relative_to(_HOME) if path.is_relative_to(_HOME) else path
            yield str(inside), item.get("size")
