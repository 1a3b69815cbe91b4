"""Holds the rules of a sandbox's network to their form: hosts, headers, the host's mask.

Source: e2b-dev/infra packages/api/internal/handlers/sandbox_create.go (validateNetworkConfig,
validateNetworkRules); e2b 2.63.0 e2b/sandbox/sandbox_api.py, which lets a rule's host be an
address or a network, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_network

from harness.emulator.api_error import ApiError
from harness.emulator.placeholders import check_placeholders

__all__ = ["check_mask", "check_rules", "header_sets"]

MAX_HOSTS = 10
MAX_RULES_A_HOST = 1
MAX_HEADERS = 20
MAX_HOST_LENGTH = 128
MAX_NAME_LENGTH = 64
MAX_VALUE_LENGTH = 2048
_MALFORMED = "Network transform header contains a malformed E2B placeholder."
_HOST = re.compile(
    r"(\*\.)?[a-zA-Z0-9_][a-zA-Z0-9_-]{0,62}(\.[a-zA-Z0-9_][a-zA-Z0-9_-]{0,62})*[._]?"
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MASK = re.compile(r"[^\s:/@]+(:[^\s:/@]+)?")


def check_mask(mask: object) -> None:
    """Holds `maskRequestHost` to "host" or "host:port"; a placeholder may stand for the port.

    Raises:
        ApiError: 400 with the mask.
    """
    if mask is None:
        return
    if not isinstance(mask, str) or not _MASK.fullmatch(mask):
        raise ApiError(400, f"mask request host is not valid: {mask}")
    host = mask.partition(":")[0]
    if not host.isascii():
        raise ApiError(
            400, f"mask request host '{host}' is not ASCII. Please use ASCII characters only."
        )


def check_rules(rules: object) -> None:
    """Holds `rules` to what the service takes.

    Raises:
        ApiError: 400 that names the host or header that does not fit.
    """
    if rules is None:
        return
    if not isinstance(rules, Mapping):
        raise ApiError(400, "validation error: network.rules must be an object")
    if len(rules) > MAX_HOSTS:
        raise ApiError(400, f"Network rules can have at most {MAX_HOSTS} domains.")
    for host, of_host in rules.items():
        _check_host(host, of_host)
        for headers in header_sets(host, of_host):
            _check_headers(json.dumps(host), headers)


def header_sets(host: str, rules: object) -> Iterator[dict[str, str]]:
    """The headers that each rule of a host sets.

    Raises:
        ApiError: 400 where the rules have another form.
    """
    if not isinstance(rules, list):
        raise ApiError(400, f"validation error: the rules of {host} must be a list")
    for rule in rules:
        transform = rule.get("transform") if isinstance(rule, Mapping) else rule
        headers = transform.get("headers") if isinstance(transform, Mapping) else transform
        if headers is None:
            continue
        if not isinstance(headers, Mapping) or not all(
            isinstance(v, str) for v in headers.values()
        ):
            raise ApiError(400, f"validation error: the headers of {host} must be strings")
        yield dict(headers)


def _check_host(host: str, rules: object) -> None:
    shown = json.dumps(host)
    if not host:
        raise ApiError(400, "Rule domain must not be empty.")
    if len(host) > MAX_HOST_LENGTH:
        raise ApiError(
            400, f"Rule domain {shown} exceeds maximum length of {MAX_HOST_LENGTH} characters."
        )
    if not _HOST.fullmatch(host) and not _is_network(host):
        raise ApiError(400, f"Rule domain {shown} is not a valid domain name.")
    if isinstance(rules, list) and len(rules) > MAX_RULES_A_HOST:
        raise ApiError(400, f"Domain {shown} can have at most {MAX_RULES_A_HOST} transform rule.")


def _check_headers(host: str, headers: Mapping[str, str]) -> None:
    if len(headers) > MAX_HEADERS:
        raise ApiError(400, f"Domain {host} can have at most {MAX_HEADERS} headers per rule.")
    for name, value in headers.items():
        problem = _header_problem(name, value)
        if problem:
            raise ApiError(400, problem.format(name=json.dumps(name), host=host))
        try:
            check_placeholders(value)
        except ValueError as error:
            raise ApiError(400, _MALFORMED) from error


def _header_problem(name: str, value: str) -> str:
    """What is wrong with a header, with places for its name and its host; empty for nothing."""
    if not name:
        return "Header name in rule for domain {host} must not be empty."
    if not _TOKEN.fullmatch(name):
        return (
            "Header name {name} in rule for domain {host} must contain only valid HTTP token "
            "characters."
        )
    too_long = " in rule for domain {host} exceeds maximum length of "
    if len(name) > MAX_NAME_LENGTH:
        return f"Header name {{name}}{too_long}{MAX_NAME_LENGTH} characters."
    if _CONTROL.search(value):
        return "Value for header {name} in rule for domain {host} contains invalid characters."
    if len(value) > MAX_VALUE_LENGTH:
        return f"Value for header {{name}}{too_long}{MAX_VALUE_LENGTH} characters."
    return ""


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
