"""Sandboxes come, are found, live as long as they are asked to, and go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from e2b import Sandbox, SandboxException, SandboxQuery, SandboxState
from e2b.exceptions import AuthenticationException, NotFoundException, TimeoutException

from harness.emulator.attach import AdminClient
from harness.model.sandbox import OwnershipTags
from harness.pytest_plugin.fixtures import E2BEnvironment

pytestmark = pytest.mark.usefixtures("e2b_env")

UNKNOWN_ID = "i" + "0" * 20


def test_create_names_a_running_sandbox_that_info_knows(sandbox: Sandbox) -> None:
    """What create answered is what get answers, in E2B's form of an id."""
    info = sandbox.get_info()
    assert info.sandbox_id == sandbox.sandbox_id
    assert len(info.sandbox_id) == 21
    assert info.state == SandboxState.RUNNING
    assert info.name == "base"
    assert info.end_at - info.started_at == timedelta(seconds=120)
    assert sandbox.is_running()


def test_create_without_a_timeout_lives_300_seconds(make_sandbox: Callable[..., Sandbox]) -> None:
    """The second version of create has its own default."""
    info = make_sandbox(timeout=None).get_info()
    assert info.end_at - info.started_at == timedelta(seconds=300)


def test_create_keeps_the_clients_metadata(make_sandbox: Callable[..., Sandbox]) -> None:
    """The stamp adds to what the client wrote and takes nothing away."""
    metadata = {"user": "ada", "näme": "ö = &?%"}
    assert metadata.items() <= make_sandbox(metadata=metadata).get_info().metadata.items()


def test_create_is_stamped_with_its_owner(make_sandbox: Callable[..., Sandbox]) -> None:
    """A sandbox that outlives its client still says whose it is and until when."""
    info = make_sandbox(timeout=7777).get_info()
    tags = OwnershipTags.from_metadata(info.metadata)
    assert tags is not None
    assert abs(tags.expires_at - info.end_at) < timedelta(seconds=60)


def test_create_from_an_unknown_template_is_refused() -> None:
    """The refusal quotes the template."""
    with pytest.raises(SandboxException, match="'no-such-template' not found"):
        Sandbox.create("no-such-template")


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", "/v2/sandboxes", {"templateID": "No Such"}, "Invalid template reference"),
        ("POST", "/v2/sandboxes", {"templateID": "base:"}, "invalid tag"),
        (
            "POST",
            "/v2/sandboxes",
            {"templateID": "base", "autoResume": {"enabled": "yes"}},
            "enabled must be a boolean",
        ),
        ("POST", "/v2/sandboxes", {"templateID": "base", "timeout": 2**31}, "timeout must be"),
        ("POST", f"/sandboxes/{UNKNOWN_ID}/connect", {}, '"timeout" is missing'),
        ("POST", f"/v2/sandboxes/{UNKNOWN_ID}/connect", {"timeout": -1}, "at least 0"),
        ("POST", f"/sandboxes/{UNKNOWN_ID}/resume", {"timeout": 0}, "greater than 0"),
        ("POST", f"/sandboxes/{UNKNOWN_ID}/refreshes", {"duration": 3601}, "duration"),
        ("GET", "/sandboxes/Not%20One", None, "Invalid sandbox ID"),
        ("GET", "/v2/sandboxes?metadata=a%3Db%26c", None, "invalid key value pair"),
        ("GET", "/v2/sandboxes?metadata=a%3D%25zz", None, "unescaping"),
        ("GET", "/snapshots?name=No%20Such", None, "Invalid name"),
        ("DELETE", "/templates/No%20Such", None, "Invalid template ID"),
    ],
)
def test_request_that_cannot_be_meant_is_refused_before_anything_is_looked_for(
    e2b_env: E2BEnvironment, method: str, path: str, body: dict[str, Any] | None, words: str
) -> None:
    """400 with the words of the service, and not 404 for what such a request would not find."""
    env = e2b_env.endpoint.env
    headers = {"X-API-Key": env["E2B_API_KEY"]}
    url = env["E2B_API_URL"] + path
    answer = httpx.request(method, url, json=body, headers=headers, trust_env=False)
    assert (answer.status_code, words in answer.json()["message"]) == (400, True), answer.text


@pytest.mark.parametrize(("timeout", "words"), [(0, "greater than 0"), (90_000, "greater than 24")])
def test_create_with_an_impossible_timeout_is_refused(timeout: int, words: str) -> None:
    """The bounds of a life are E2B's."""
    with pytest.raises(SandboxException, match=words):
        Sandbox.create(timeout=timeout)


def test_create_twice_with_one_idempotency_key_is_one_sandbox(
    make_sandbox: Callable[..., Sandbox],
) -> None:
    """A create that is sent again answers with the first one's sandbox."""
    first = make_sandbox(idempotency_key="same-key")
    assert make_sandbox(idempotency_key="same-key").sandbox_id == first.sandbox_id
    assert make_sandbox(idempotency_key="other-key").sandbox_id != first.sandbox_id


def test_kill_says_whether_there_was_anything_to_kill(sandbox: Sandbox) -> None:
    """The second kill is false, not an error."""
    assert sandbox.kill() is True
    assert sandbox.kill() is False
    assert Sandbox.kill(UNKNOWN_ID) is False
    assert Sandbox.kill("nonexistingsandbox") is False
    assert not sandbox.is_running()


def test_info_of_an_unknown_sandbox_is_not_found() -> None:
    """A sandbox that is gone is not found, in the API's words and the SDK's class."""
    with pytest.raises(NotFoundException):
        Sandbox.get_info(UNKNOWN_ID)
    with pytest.raises(NotFoundException):
        Sandbox.connect(UNKNOWN_ID)
    with pytest.raises(NotFoundException):
        Sandbox.set_timeout(UNKNOWN_ID, 10)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("e2b_" + "0" * 40, "Invalid API key"),
        ("not-a-key", "malformed"),
        ("", "missing"),
    ],
)
def test_wrong_key_is_an_authentication_error(key: str, words: str) -> None:
    """Only this emulator's own key opens it."""
    with pytest.raises(AuthenticationException, match=words):
        Sandbox.create(api_key=key or " ")


def test_connect_finds_the_same_sandbox_and_never_shortens(sandbox: Sandbox) -> None:
    """Connecting extends a life where it asks for longer, and leaves it alone otherwise."""
    sandbox.files.write("note", "here")
    before = sandbox.get_info().end_at
    again = Sandbox.connect(sandbox.sandbox_id, timeout=10)
    assert again.get_info().end_at == before
    assert again.files.read("note") == "here"
    Sandbox.connect(sandbox.sandbox_id, timeout=600)
    assert sandbox.get_info().end_at > before


def test_set_timeout_lengthens_and_shortens(sandbox: Sandbox) -> None:
    """The new life counts from now."""
    before = sandbox.get_info().end_at
    sandbox.set_timeout(600)
    assert sandbox.get_info().end_at > before
    sandbox.set_timeout(60)
    assert sandbox.get_info().end_at < before


def test_expiry_kills_by_the_services_clock(sandbox: Sandbox, emulator: AdminClient) -> None:
    """A minute before its end a sandbox runs; at its end it is gone, and nobody slept."""
    sandbox.set_timeout(3600)
    emulator.advance(3540)
    assert sandbox.is_running()
    emulator.advance(61)
    assert not sandbox.is_running()
    with pytest.raises(TimeoutException, match="was not found"):
        sandbox.commands.run("true")
    [ended] = emulator.sandboxes()
    assert ended["end_reason"] == "timeout"


def test_timeout_of_zero_ends_a_sandbox_at_once(sandbox: Sandbox, emulator: AdminClient) -> None:
    """That is how the command line lets a sandbox go."""
    sandbox.set_timeout(0)
    emulator.advance(0)
    assert not sandbox.is_running()


def test_auto_pause_keeps_the_sandbox_past_its_timeout(
    make_sandbox: Callable[..., Sandbox], emulator: AdminClient
) -> None:
    """It pauses instead of ending, is listed so, and connecting resumes it."""
    sandbox = make_sandbox(lifecycle={"on_timeout": "pause"})
    sandbox.files.write("kept", "yes")
    emulator.advance(121)
    assert sandbox.get_info().state == SandboxState.PAUSED
    assert Sandbox.connect(sandbox.sandbox_id, timeout=60).files.read("kept") == "yes"
    assert sandbox.get_info().state == SandboxState.RUNNING


def test_pause_freezes_processes_and_resume_lets_them_go_on(sandbox: Sandbox) -> None:
    """A process survives the pause; meanwhile nobody reaches the sandbox."""
    process = sandbox.commands.run("sleep 1000", background=True)
    assert sandbox.pause() is True
    assert sandbox.pause() is False
    assert not sandbox.is_running()
    sandbox = Sandbox.connect(sandbox.sandbox_id, timeout=60)
    assert process.pid in [info.pid for info in sandbox.commands.list()]


def test_kill_of_a_paused_sandbox_ends_it(sandbox: Sandbox) -> None:
    """A frozen process dies too."""
    sandbox.pause()
    assert sandbox.kill() is True
    with pytest.raises(NotFoundException):
        Sandbox.connect(sandbox.sandbox_id)


def all_pages(**options: Any) -> list[str]:
    paginator = Sandbox.list(**options)
    found = []
    while paginator.has_next:
        found += [info.sandbox_id for info in paginator.next_items()]
    return found


def test_list_is_newest_first_across_pages(make_sandbox: Callable[..., Sandbox]) -> None:
    """Pages of two hold every sandbox once, in either order."""
    newest_first = [make_sandbox().sandbox_id for _ in range(5)][::-1]
    assert all_pages(limit=2) == newest_first
    assert all_pages(limit=2, order="asc") == newest_first[::-1]
    assert all_pages(limit=5) == newest_first


def test_list_by_metadata_finds_exact_pairs_only(make_sandbox: Callable[..., Sandbox]) -> None:
    """Keys and values with blanks, signs and accents survive the way into the query."""
    odd = {"a key&more=1": "välue +%25/?", "user": "ada"}
    wanted = make_sandbox(metadata=odd).sandbox_id
    make_sandbox(metadata={"user": "ada"})
    assert all_pages(query=SandboxQuery(metadata=odd)) == [wanted]
    assert len(all_pages(query=SandboxQuery(metadata={"user": "ada"}))) == 2
    assert all_pages(query=SandboxQuery(metadata={"user": "eve"})) == []


def test_list_by_state_time_and_template(make_sandbox: Callable[..., Sandbox]) -> None:
    """Filters are exact, and the time is inclusive."""
    older, newer = make_sandbox(), make_sandbox()
    older.pause()
    assert all_pages(query=SandboxQuery(state=[SandboxState.PAUSED])) == [older.sandbox_id]
    assert all_pages(query=SandboxQuery(state=[SandboxState.RUNNING])) == [newer.sandbox_id]
    assert len(all_pages()) == 2
    since = newer.get_info().started_at
    assert all_pages(query=SandboxQuery(started_after=since)) == [newer.sandbox_id]
    assert len(all_pages(query=SandboxQuery(template="base"))) == 2
    assert all_pages(query=SandboxQuery(template="code-interpreter-v1")) == []


def test_metrics_hold_one_point_of_real_figures(sandbox: Sandbox) -> None:
    """A running sandbox has figures at once."""
    point = sandbox.get_metrics()[0]
    assert point.cpu_count >= 1
    assert point.mem_total > point.mem_used > 0
    assert point.disk_total >= point.disk_used


def test_after_image_holds_the_files_of_a_killed_sandbox(
    sandbox: Sandbox, emulator: AdminClient, tmp_path: Any
) -> None:
    """What a sandbox left behind can be read after its end, until reset."""
    sandbox.files.write("deep/down/note.txt", "left behind")
    sandbox.commands.run("ln -s /etc/passwd way-out; ln -s deep/down/note.txt near")
    sandbox.kill()
    [image] = emulator.after_images()
    assert image["sandbox_id"] == sandbox.sandbox_id
    emulator.fetch_after_image(sandbox.sandbox_id, tmp_path)
    assert (tmp_path / "deep/down/note.txt").read_text() == "left behind"
    assert (tmp_path / "near").read_text() == "left behind"
    assert not (tmp_path / "way-out").exists()
    emulator.reset()
    assert emulator.after_images() == []
