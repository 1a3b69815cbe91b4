"""One contract, several directories: the API's, one over an SDK client, and the scripted one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from e2b import E2B
from e2b_stand_in import KEY, StandIn, serve
from scripted_directory import ScriptedDirectory

from harness.ports import SandboxDirectory
from harness.sdk import ApiEndpoint, ApiSandboxDirectory
from harness.sdk.client import ClientSandboxDirectory


@dataclass
class Case:
    directory: SandboxDirectory
    plant: Callable[..., object]


@pytest.fixture(scope="module")
def service() -> Iterator[StandIn]:
    with serve() as stand_in:
        yield stand_in


@pytest.fixture(params=["api", "client", "scripted"])
def case(request: pytest.FixtureRequest, service: StandIn) -> Iterator[Case]:
    service.sandboxes.clear()
    if request.param == "scripted":
        scripted = ScriptedDirectory()
        yield Case(scripted, lambda name, **kw: scripted.plant(name, ours=False, **kw))
    elif request.param == "client":
        client = E2B(api_key=KEY, api_url=service.url)
        yield Case(ClientSandboxDirectory(client), service.plant)
    else:
        endpoint = ApiEndpoint.from_env({"E2B_API_KEY": KEY, "E2B_API_URL": service.url})
        with ApiSandboxDirectory(endpoint) as directory:
            yield Case(directory, service.plant)


def test_list_of_nothing_is_empty(case: Case) -> None:
    """No sandbox, no row."""
    assert list(case.directory.list()) == []


def test_list_spans_pages_and_states_newest_first(case: Case) -> None:
    """Every running and paused sandbox is listed once, whatever the page size."""
    for number in range(230):
        case.plant(f"i{number:03d}", age_s=number, state="paused" if number % 7 == 0 else "running")
    listed = [record.sandbox_id for record in case.directory.list()]
    assert listed == [f"i{number:03d}" for number in range(230)]


def test_list_row_carries_what_the_policy_needs(case: Case) -> None:
    """Times are aware, metadata and state are whole."""
    case.plant("iabc", age_s=60, timeout_s=300, state="paused", metadata={"a b": "c&d=é"})
    (record,) = case.directory.list()
    assert record.end_at - record.started_at == timedelta(seconds=300)
    assert record.started_at.utcoffset() == timedelta(0)
    assert (record.state, record.template_id) == ("paused", "base")
    assert dict(record.metadata) == {"a b": "c&d=é"}


def test_list_with_metadata_takes_exact_matches_only(case: Case) -> None:
    """A filter's pairs all have to be carried, also where they need quoting."""
    case.plant("iyes", metadata={"k y": "v&1", "other": "x"})
    case.plant("ino", metadata={"k y": "v&2"})
    listed = case.directory.list(metadata={"k y": "v&1"})
    assert [record.sandbox_id for record in listed] == ["iyes"]


def test_list_with_an_empty_filter_is_refused(case: Case) -> None:
    """An empty filter would list everything, so it is never sent."""
    with pytest.raises(ValueError, match="lists everything"):
        case.directory.list(metadata={})


def test_get_tells_a_living_sandbox_from_a_gone_one(case: Case) -> None:
    """`get` answers the same row as the listing, or None."""
    case.plant("iabc", age_s=5)
    assert case.directory.get("iabc") == case.directory.list()[0]
    assert case.directory.get("igone") is None


def test_kill_ends_once_and_says_whether_it_did(case: Case) -> None:
    """The first kill is True, the second False, and the sandbox is gone."""
    case.plant("iabc")
    assert case.directory.kill("iabc") is True
    assert case.directory.kill("iabc") is False
    assert list(case.directory.list()) == []
