"""The team's API keys and the person's tokens: no SDK asks for them, the command line does."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from harness.emulator.attach import Emulator


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One at which a browser can sign in."""
    with Emulator("--sign-in", "--pool", "0") as running:
        yield running


def _client(emulator: Emulator, **headers: str) -> httpx.Client:
    return httpx.Client(base_url=emulator.env["E2B_API_URL"], headers=headers, timeout=60)


def test_api_key_opens_what_it_should_until_it_is_deleted(emulator: Emulator) -> None:
    """A new key works at once, is shown once, and is nothing after its end or a reset."""
    with _client(emulator, Authorization=f"Bearer {emulator.access_token}") as person:
        made = person.post("/api-keys", json={"name": "second"}).json()
        listed = person.get("/api-keys").json()
        assert [(key["id"], "key" in key) for key in listed] == [(made["id"], False)]
        assert person.patch(f"/api-keys/{made['id']}", json={"name": "new"}).status_code == 202
        assert person.get("/api-keys").json()[0]["name"] == "new"
        with _client(emulator, **{"X-API-Key": made["key"]}) as second:
            assert second.get("/v2/sandboxes").status_code == 200
            assert person.delete(f"/api-keys/{made['id']}").status_code == 204
            assert person.delete(f"/api-keys/{made['id']}").status_code == 404
            assert person.delete("/api-keys/no-uuid").status_code == 400
            assert second.get("/v2/sandboxes").status_code == 401
        third = person.post("/api-keys", json={"name": "third"}).json()["key"]
        emulator.reset()
        assert person.get("/api-keys").json() == []
        with _client(emulator, **{"X-API-Key": third}) as gone:
            assert gone.get("/v2/sandboxes").status_code == 401


def test_access_token_is_a_persons_and_no_key(emulator: Emulator) -> None:
    """It opens what a person does; with the team's id, what the team's key does, too."""
    with _client(emulator, **{"X-API-Key": emulator.env["E2B_API_KEY"]}) as key:
        assert key.get("/teams").status_code == 401
        assert key.post("/access-tokens", json={"name": "mine"}).status_code == 401
    with _client(emulator, Authorization=f"Bearer {emulator.access_token}") as person:
        made = person.post("/access-tokens", json={"name": "mine"}).json()
        assert person.get("/v2/sandboxes").status_code == 401
        [team] = person.get("/teams").json()
        by_team = person.get("/v2/sandboxes", headers={"X-Team-ID": team["teamID"]})
        assert by_team.status_code == 200
        with _client(emulator, Authorization=f"Bearer {made['token']}") as second:
            assert second.get("/teams").json()[0]["isDefault"] is True
            assert person.delete(f"/access-tokens/{made['id']}").status_code == 204
            assert person.delete(f"/access-tokens/{made['id']}").status_code == 404
            assert second.get("/teams").status_code == 401
        with _client(emulator, **{"X-API-Key": team["apiKey"]}) as from_teams:
            assert from_teams.get("/v2/sandboxes").status_code == 200


def test_sign_in_leads_back_to_this_machine_with_tokens(emulator: Emulator) -> None:
    """A browser's way: to here, back to the command line; then refresh, then sign-out."""
    docs = emulator.env["E2B_DOCS_BASE"] + "/api/cli"
    answer = httpx.get(docs, params={"next": "http://localhost:9", "cliVersion": "2.19.0"})
    assert answer.status_code == 302
    back = urlsplit(answer.headers["location"])
    told = {name: value for name, [value] in parse_qs(back.query).items()}
    assert (back.hostname, back.port) == ("localhost", 9)
    with _client(emulator, Authorization=f"Bearer {told['accessToken']}") as person:
        assert person.get("/teams").status_code == 200
        form = {"grant_type": "refresh_token", "refresh_token": told["refreshToken"]}
        renewed = httpx.post(told["tokenEndpoint"], data=form).json()
        assert httpx.post(told["tokenEndpoint"], data=form).json()["error"] == "invalid_grant"
        assert person.get("/teams").status_code == 401
    with _client(emulator, Authorization=f"Bearer {renewed['access_token']}") as person:
        assert person.get("/teams").status_code == 200
        httpx.post(told["revokeEndpoint"], data={"token": renewed["refresh_token"]})
        assert person.get("/teams").status_code == 401
    assert httpx.get(docs, params={"next": "http://example.com"}).status_code == 400


def test_sign_in_is_not_there_unless_it_was_asked_for() -> None:
    """Whoever reaches an emulator's port is not given a token by it."""
    with Emulator("--pool", "0") as plain:
        url = plain.env["E2B_API_URL"] + "/docs/api/cli"
        assert httpx.get(url, params={"next": "http://localhost:9"}).status_code == 401
        assert "E2B_DOCS_BASE" not in plain.env
