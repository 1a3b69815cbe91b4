"""The team and its API keys, over HTTP: no SDK asks for them, the command line does."""

from __future__ import annotations

import httpx

from harness.emulator.attach import AdminClient
from harness.model.side import Endpoint


def _client(endpoint: Endpoint, key: str | None = None) -> httpx.Client:
    headers = {"X-API-Key": key or endpoint.env["E2B_API_KEY"]}
    return httpx.Client(base_url=endpoint.env["E2B_API_URL"], headers=headers)


def test_api_key_opens_what_it_should_until_it_is_deleted(
    e2b_endpoint: Endpoint, emulator: AdminClient
) -> None:
    """A new key works at once, is shown once, and is nothing after its end or a reset."""
    with _client(e2b_endpoint) as own:
        made = own.post("/api-keys", json={"name": "second"}).json()
        listed = own.get("/api-keys").json()
        assert [(key["id"], "key" in key) for key in listed] == [(made["id"], False)]
        assert own.patch(f"/api-keys/{made['id']}", json={"name": "new"}).status_code == 200
        assert own.get("/api-keys").json()[0]["name"] == "new"
        with _client(e2b_endpoint, made["key"]) as second:
            assert second.get("/v2/sandboxes").status_code == 200
            assert second.get("/teams").json()[0]["isDefault"] is True
            assert own.delete(f"/api-keys/{made['id']}").status_code == 204
            assert own.delete(f"/api-keys/{made['id']}").status_code == 404
            assert second.get("/v2/sandboxes").status_code == 401
        third = own.post("/api-keys", json={"name": "third"}).json()["key"]
        emulator.reset()
        assert own.get("/api-keys").json() == []
        with _client(e2b_endpoint, third) as gone:
            assert gone.get("/teams").status_code == 401
