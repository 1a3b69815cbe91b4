"""Reads the bodies of the control plane's requests.

Every problem of one body is reported together. A field that is not known is
accepted, as E2B's clients are newer than any server, and noted in the ledger.
Source: e2b 2.63.0 e2b/api/client/models (new_sandbox, new_sandbox_v2, connect_sandbox_v2).
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from typing import Any

from starlette.requests import Request

from harness.emulator.answers import ApiError, request_error
from harness.emulator.catalogue import Catalogue
from harness.emulator.egress import EGRESS_FIELDS, check_network
from harness.emulator.exchange import exchange_of
from harness.emulator.life import NewSandbox
from harness.emulator.plans import PlanLimits
from harness.emulator.template_names import parse_name

__all__ = ["JsonBody", "read_body", "read_life", "read_new_sandbox", "read_timeout"]

_CREATE_FIELDS = {
    "templateID": str,
    "timeout": int,
    "autoPause": bool,
    "autoPauseMemory": bool,
    "autoResume": dict,
    "secure": bool,
    "allow_internet_access": bool,
    "network": dict,
    "metadata": dict,
    "envVars": dict,
    "mcp": dict,
    "iam": dict,
    "volumeMounts": list,
}
_NETWORK_FIELDS = frozenset({*EGRESS_FIELDS, "allowPublicTraffic", "maskRequestHost"})
_MEMORY_NEEDS_PAUSE = "autoPauseMemory=false only applies when autoPause is true."
_NO_TRAFFIC_RESUME = (
    "autoPauseMemory=false (filesystem-only auto-pause) cannot be combined with autoResume: a "
    "filesystem-only snapshot cannot be auto-resumed by traffic and must be resumed explicitly."
)
_PRIVATE_NEEDS_SECURE = (
    "You cannot create a sandbox without public access unless you enable secure envd "
    "access via 'secure' flag."
)


class JsonBody:
    """A JSON object, read field by field.

    Args:
        document: the object.
        notes: where unknown fields are noted.
    """

    def __init__(self, document: Mapping[str, Any], notes: list[str]) -> None:
        self._document = document
        self._notes = notes

    def check(self, fields: Mapping[str, type]) -> None:
        """Holds the fields to their types; null counts as absent.

        Raises:
            ApiError: 400 that names every field that does not fit.
        """
        problems = []
        for name, value in self._document.items():
            kind = fields.get(name)
            if kind is None:
                self._notes.append(f"unknown field {name!r}")
            elif value is not None and not _is(value, kind):
                problems.append(f"{name} must be {_ENGLISH[kind]}")
        if problems:
            raise request_error("; ".join(problems))

    def get(self, name: str, default: Any = None) -> Any:
        """A field's value; the default where it is absent or null."""
        value = self._document.get(name)
        return default if value is None else value

    def note_others(self, names: Container[str]) -> None:
        """Notes the fields that have none of these names."""
        self._notes += [f"unknown field {name!r}" for name in self._document if name not in names]

    def object(self, name: str) -> JsonBody:
        """A field that is an object; an empty one where it is absent."""
        return JsonBody(self.get(name, {}), self._notes)

    def strings(self, name: str) -> dict[str, str]:
        """A field that is an object of strings.

        Raises:
            ApiError: 400 where a value is not a string.
        """
        found = self.get(name, {})
        wrong = [key for key, value in found.items() if not isinstance(value, str)]
        if wrong:
            raise request_error(f"{name}.{wrong[0]} must be a string")
        return dict(found)


_INT32 = 2**31
_ENGLISH = {str: "a string", int: "an integer of 32 bits", bool: "a boolean", dict: "an object"} | {
    list: "an array"
}


def _is(value: Any, kind: type) -> bool:
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _INT32
    return isinstance(value, kind)


async def read_body(request: Request, fields: Mapping[str, type]) -> JsonBody:
    """The request's JSON object; no body at all counts as an empty one.

    Raises:
        ApiError: 400 where it is not a JSON object, or fields do not fit.
    """
    raw = await request.body()
    try:
        document = json.loads(raw) if raw.strip() else {}
    except ValueError as error:
        raise request_error(error) from error
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise request_error("the body must be a JSON object")
    body = JsonBody(document, exchange_of(request).entry.notes)
    body.check(fields)
    return body


def read_timeout(body: JsonBody, *, default_s: int, limits: PlanLimits) -> int:
    """The `timeout` of a create, resume or connect.

    Raises:
        ApiError: 400 where it is longer than the plan allows, or below 0.
    """
    timeout_s: int = body.get("timeout", default_s)
    if timeout_s < 0:
        raise ApiError(400, "validation error: timeout: number must be at least 0")
    if timeout_s > limits.longest_life_s:
        hours = limits.longest_life_hours
        raise ApiError(400, f"Timeout cannot be greater than {hours} hours")
    return timeout_s


def read_life(body: JsonBody, *, default_s: int, limits: PlanLimits) -> int:
    """The `timeout` of what begins a life: a create, a resume, a fork.

    Raises:
        ApiError: 400 where it is longer than the plan allows, or not above 0.
    """
    timeout_s = read_timeout(body, default_s=default_s, limits=limits)
    if timeout_s == 0:
        raise ApiError(400, "Timeout must be greater than 0")
    return timeout_s


async def read_new_sandbox(
    request: Request,
    *,
    default_timeout_s: int,
    always_secure: bool,
    catalogue: Catalogue,
    limits: PlanLimits,
) -> NewSandbox:
    """The request of `POST /sandboxes` or `POST /v2/sandboxes`.

    Args:
        request: the request.
        default_timeout_s: 15 on v1, 300 on v2.
        always_secure: whether the field `secure` has no say, as on v2.
        catalogue: the templates.
        limits: the plan's figures.

    Raises:
        ApiError: 400 where something does not fit, 404 for an unknown template.
    """
    body = await read_body(request, _CREATE_FIELDS)
    identifier = body.get("templateID")
    if identifier is None:
        raise ApiError(400, 'validation error: property "templateID" is missing')
    try:
        parse_name(identifier)
    except ValueError as error:
        raise ApiError(400, f"Invalid template reference: {error}") from error
    timeout_s = read_life(body, default_s=default_timeout_s, limits=limits)
    auto_resume = body.object("autoResume")
    auto_resume.check({"enabled": bool})
    body.object("network").note_others(_NETWORK_FIELDS)
    asked = NewSandbox(
        template=catalogue.get(identifier),
        timeout_s=timeout_s,
        metadata=body.strings("metadata"),
        envs=body.strings("envVars"),
        secure=always_secure or body.get("secure", False),
        auto_pause=body.get("autoPause", False),
        auto_pause_memory=body.get("autoPauseMemory", True),
        auto_resume=auto_resume.get("enabled", False),
        allow_internet_access=body.get("allow_internet_access"),
        network=body.get("network"),
        volume_mounts=tuple(body.get("volumeMounts", [])),
    )
    _check_combination(asked)
    check_network(asked.network or {})
    return asked


def _check_combination(asked: NewSandbox) -> None:
    if not asked.auto_pause_memory and not asked.auto_pause:
        raise ApiError(400, _MEMORY_NEEDS_PAUSE)
    if not asked.auto_pause_memory and asked.auto_resume:
        raise ApiError(400, _NO_TRAFFIC_RESUME)
    if not asked.public_traffic and not asked.secure:
        raise ApiError(400, _PRIVATE_NEEDS_SECURE)
