"""Routes of the one person: access tokens, and the sign-in of E2B's command line.

The command line signs in by a browser, at E2B's own site; with E2B_DOCS_BASE it does so
here. Whoever asks is given the person's tokens, so that is served only where it was asked
for, and leads nowhere but to this machine.

Source: e2b-dev/infra packages/api/internal/handlers/accesstoken.go; @e2b/cli 2.19.0
src/commands/auth/login.ts and src/utils/token-refresh.ts.
"""

from __future__ import annotations

import base64
import json
import secrets
import uuid
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from harness.clock import format_instant
from harness.emulator.answers import ApiError, JsonAnswer, empty_answer
from harness.emulator.control_plane.bodies import read_body
from harness.emulator.control_plane.team_routes import mask_of
from harness.emulator.credentials import PERSON_PREFIX, new_token, new_uuid
from harness.emulator.routes import Asks, Route
from harness.emulator.service import EmulatedService

__all__ = ["PersonRoutes"]

EMAIL = "person@harness.invalid"
CLIENT_ID = "harness"
TOKEN_LIFE = timedelta(hours=1)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_DONE = "Signed in to the emulator; the command line goes on."
_NOT_FOUND = PlainTextResponse("id not found", 404)


class PersonRoutes:
    """Answers for the person.

    Args:
        service: the emulator.
    """

    def __init__(self, service: EmulatedService) -> None:
        self._service = service
        self._credentials = service.credentials
        self._tokens: dict[str, str] = {}
        self._sessions: dict[str, str] = {}

    def routes(self) -> list[Route]:
        """The routes that this class answers."""
        tokens, docs = "/access-tokens", "/docs/api/cli"
        nobody = Asks.NOBODY
        made = [
            Route(method="POST", pattern=tokens, handler=self.create, asks=Asks.PERSON),
            Route(
                method="DELETE",
                pattern=f"{tokens}/{{token_id}}",
                handler=self.delete,
                asks=Asks.PERSON,
            ),
        ]
        if self._service.sign_in:
            made += [
                Route(method="GET", pattern=docs, handler=self.sign_in, asks=nobody),
                Route(method="POST", pattern=f"{docs}/token", handler=self.renew, asks=nobody),
                Route(method="POST", pattern=f"{docs}/revoke", handler=self.sign_out, asks=nobody),
            ]
        return made

    def reset(self) -> None:
        """Has every token but the emulator's own open nothing."""
        for token in (*self._tokens.values(), *self._sessions.values()):
            self._credentials.revoke_person(token)
        self._tokens.clear()
        self._sessions.clear()

    async def create(self, request: Request) -> Response:
        """`POST /access-tokens`: a token that works at once; its value is shown this once."""
        name = (await read_body(request, {"name": str})).get("name")
        if name is None:
            raise ApiError(400, 'validation error: property "name" is missing')
        token_id, token = new_uuid(), PERSON_PREFIX + secrets.token_hex(20)
        self._tokens[token_id] = token
        self._credentials.admit_person(token)
        return JsonAnswer(
            {
                "id": token_id,
                "name": name,
                "token": token,
                "mask": mask_of(token, PERSON_PREFIX),
                "createdAt": format_instant(self._service.clock.now()),
            },
            status=201,
        )

    async def delete(self, request: Request, token_id: str) -> Response:
        """`DELETE /access-tokens/{id}`: it opens nothing from now on."""
        del request
        try:
            uuid.UUID(token_id)
        except ValueError as error:
            raise ApiError(400, f"Error when parsing access token ID: {error}") from error
        token = self._tokens.pop(token_id, None)
        if token is None:
            return _NOT_FOUND
        self._credentials.revoke_person(token)
        return empty_answer()

    async def sign_in(self, request: Request) -> Response:
        """`GET /docs/api/cli`: sends the browser back to the command line, with tokens."""
        query = request.query_params
        if query.get("state") is not None:
            return PlainTextResponse(query.get("error") or _DONE)
        back = urlsplit(query.get("next", ""))
        if back.scheme != "http" or back.hostname not in _LOOPBACK:
            raise ApiError(400, "Invalid request: next must be an address of this machine")
        here = f"{request.url.scheme}://{request.headers['host']}/docs/api/cli"
        access, refresh = self._session()
        answer = {
            "email": EMAIL,
            "accessToken": access,
            "refreshToken": refresh,
            "tokenEndpoint": f"{here}/token",
            "revokeEndpoint": f"{here}/revoke",
            "clientId": CLIENT_ID,
        }
        return RedirectResponse(f"http://{back.netloc}{back.path or '/'}?{urlencode(answer)}", 302)

    async def renew(self, request: Request) -> Response:
        """`POST …/token`: a new access token for a refresh token, which is spent by that."""
        form = await _form(request)
        if not self._end(form.get("refresh_token", "")):
            problem = {"error": "invalid_grant", "error_description": "unknown refresh token"}
            return JsonAnswer(problem, status=400)
        access, refresh = self._session()
        return JsonAnswer(
            {
                "access_token": access,
                "refresh_token": refresh,
                "token_type": "bearer",
                "expires_in": int(TOKEN_LIFE.total_seconds()),
            }
        )

    async def sign_out(self, request: Request) -> Response:
        """`POST …/revoke`: ends a refresh token and its access token; an unknown one is fine."""
        self._end((await _form(request)).get("token", ""))
        return empty_answer(200)

    def _end(self, refresh: str) -> bool:
        access = self._sessions.pop(refresh, None)
        if access is not None:
            self._credentials.revoke_person(access)
        return access is not None

    def _session(self) -> tuple[str, str]:
        """An access token, and one to renew it with."""
        expires = int((self._service.clock.now() + TOKEN_LIFE).timestamp())
        # The command line reads when it expires; that it is not forged is known by heart here.
        access = ".".join((_part({"alg": "none"}), _part({"exp": expires}), new_token()))
        refresh = new_token()
        self._sessions[refresh] = access
        self._credentials.admit_person(access)
        return access, refresh


async def _form(request: Request) -> dict[str, str]:
    pairs = parse_qs((await request.body()).decode("utf-8", errors="replace"))
    return {name: values[-1] for name, values in pairs.items()}


def _part(document: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
