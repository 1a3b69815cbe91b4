"""Where a sandbox may connect to: the rules of its network, and nothing of how it connects.

Source: e2b-dev/infra packages/api/internal/handlers/sandbox_create.go
(validateNetworkConfig) and packages/orchestrator/internal/sandbox/network; e2b 2.63.0
e2b/sandbox/sandbox_api.py (SandboxNetworkOpts): allow beats deny.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Any

from harness.emulator.api_error import ApiError
from harness.emulator.life import NewSandbox
from harness.emulator.network_rules import check_mask, check_rules, header_sets

__all__ = [
    "ALL_TRAFFIC",
    "EGRESS_FIELDS",
    "NOWHERE",
    "EgressRules",
    "check_network",
    "describe_egress",
    "replace_rules",
    "rules_of",
]

ALL_TRAFFIC = "0.0.0.0/0"
EGRESS_FIELDS = ("allowOut", "denyOut", "rules", "dnsServers", "egressProxy")
_DOMAINS_NEED_BLOCK = (
    "When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' in deny out "
    "to block all other traffic."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressRules:
    """What a sandbox may reach.

    Attributes:
        allow: addresses, networks and names that are reached whatever `deny` says.
        deny: addresses and networks that are not reached.
        internet: False denies all that is not allowed by name or address.
        headers: by host (a name, a wildcard, an address or a network), what is set in requests.
        fill: fills the placeholders of a header's value.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    internet: bool = True
    headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    fill: Callable[[str], str] = str

    def permits(self, address: str, names: Iterable[str] = ()) -> bool:
        """Whether a connection is let out.

        Args:
            address: where it goes.
            names: what that address is called.
        """
        target, known = IPv4Address(address), [name.lower() for name in names]
        if any(_is_meant(entry, target, known) for entry in self.allow):
            return True
        return self.internet and not any(_is_meant(entry, target, known) for entry in self.deny)

    def headers_for(self, address: str, names: Iterable[str] = ()) -> dict[str, str]:
        """What is set in requests to a host; empty where nothing is.

        Raises:
            UnknownSecretError: a header names a secret that is not there.
        """
        target, known = IPv4Address(address), [name.lower() for name in names]
        found: dict[str, str] = {}
        for entry, headers in self.headers.items():
            if _is_meant(entry, target, known):
                found.update({name: self.fill(value) for name, value in headers.items()})
        return found


NOWHERE = EgressRules(internet=False)
"""Lets nothing out."""


def _headers(network: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The headers that each host's rules set, later rules over earlier ones."""
    found: dict[str, dict[str, str]] = {}
    for host, rules in (network.get("rules") or {}).items():
        for headers in header_sets(host, rules):
            found.setdefault(host, {}).update(headers)
    return {host: headers for host, headers in found.items() if headers}


def rules_of(asked: NewSandbox) -> EgressRules:
    """The rules of a sandbox as its creator, or the last update, asked for them."""
    network = asked.network or {}
    return EgressRules(
        allow=tuple(network.get("allowOut") or ()),
        deny=tuple(network.get("denyOut") or ()),
        internet=asked.allow_internet_access is not False,
        headers=_headers(network),
    )


def replace_rules(asked: NewSandbox, update: Mapping[str, Any]) -> NewSandbox:
    """The request with other rules: what the update leaves out is cleared.

    What is about traffic into the sandbox stays.

    Raises:
        ApiError: 400 where the update does not fit.
    """
    check_network(update)
    kept = {key: value for key, value in (asked.network or {}).items() if key not in EGRESS_FIELDS}
    given = {
        key: value for key, value in update.items() if key in EGRESS_FIELDS and value is not None
    }
    return replace(
        asked,
        network={**kept, **given},
        allow_internet_access=update.get("allow_internet_access"),
    )


def describe_egress(asked: NewSandbox) -> dict[str, list[str]]:
    """The rules in the words of a lifecycle event."""
    rules = rules_of(asked)
    return {
        "allowed_cidrs": [entry for entry in rules.allow if _as_network(entry) is not None],
        "denied_cidrs": [*rules.deny],
        "allowed_domains": [entry for entry in rules.allow if _as_network(entry) is None],
    }


def check_network(network: Mapping[str, Any]) -> None:
    """Holds a network configuration to its form.

    Raises:
        ApiError: 400 that names the entry that does not fit.
    """
    allow, deny = (_strings(network, name) for name in ("allowOut", "denyOut"))
    for entry in deny:
        if _as_network(entry) is None:
            raise ApiError(400, f"invalid denied CIDR {entry}")
    names = [entry for entry in allow if _as_network(entry) is None]
    if names and ALL_TRAFFIC not in deny:
        raise ApiError(400, _DOMAINS_NEED_BLOCK)
    check_mask(network.get("maskRequestHost"))
    check_rules(network.get("rules"))


def _strings(network: Mapping[str, Any], name: str) -> Sequence[str]:
    found = network.get(name) or []
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise ApiError(400, f"validation error: network.{name} must be a list of strings")
    return found


def _as_network(entry: str) -> IPv4Network | None:
    try:
        found = ip_network(entry, strict=False)
    except ValueError:
        return None
    return found if isinstance(found, IPv4Network) else None


def _is_meant(entry: str, target: IPv4Address, names: list[str]) -> bool:
    network = _as_network(entry)
    if network is not None:
        return target in network
    pattern = entry.lower()
    if pattern == "*":
        return bool(names)
    if pattern.startswith("*."):
        return any(name.endswith(pattern[1:]) for name in names)
    return pattern in names
