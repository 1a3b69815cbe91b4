"""A stand-in internet as a test writes it down: JSON, in a file or sent to the admin interface."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, ip_address
from typing import Any

from harness.emulator.internet import Internet, InternetHost
from harness.errors import UsageError

__all__ = ["parse_internet"]

_FIRST_ADDRESS = int(IPv4Address("198.18.0.1"))  # RFC 2544: for tests, never routed
_MAX_PORT = 65535


def parse_internet(document: Any) -> Internet:
    """Reads a stand-in internet.

    Args:
        document: `{"hosts": [{"names": […], "address": …, "ports": {"443": "127.0.0.1:4433"}}],
            "ca": PEM}`; a host without an address gets one of its own.

    Raises:
        UsageError: it is not of that form, or leads off this machine.
    """
    if not isinstance(document, dict) or not isinstance(document.get("hosts"), list):
        raise _refusal("it is no object with a list `hosts`")
    hosts: list[InternetHost] = []
    for number, entry in enumerate(document["hosts"]):
        hosts.append(_parse_host(entry, str(IPv4Address(_FIRST_ADDRESS + number))))
    addresses = [host.address for host in hosts]
    doubled = {address for address in addresses if addresses.count(address) > 1}
    if doubled:
        raise _refusal(f"two hosts have the address {min(doubled)}")
    authority = document.get("ca", "")
    if not isinstance(authority, str) or (authority and "BEGIN CERTIFICATE" not in authority):
        raise _refusal("`ca` holds no PEM certificate")
    return Internet(hosts=tuple(hosts), authority=authority)


def _parse_host(entry: Any, own_address: str) -> InternetHost:
    if not isinstance(entry, dict):
        raise _refusal(f"the host {entry!r} is no object")
    names, ports = entry.get("names", []), entry.get("ports", {})
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _refusal(f"the names {names!r} are no list of strings")
    if not isinstance(ports, dict) or not ports:
        raise _refusal(f"the host {names or entry.get('address')!r} has no ports")
    address = entry.get("address", own_address)
    try:
        outside = IPv4Address(address)
    except (AddressValueError, TypeError) as error:
        raise _refusal(f"{address!r} is no IPv4 address") from error
    if outside.is_loopback:
        raise _refusal(f"{address} is the sandbox's own loopback address")
    return InternetHost(
        address=str(outside),
        names=tuple(name.lower().rstrip(".") for name in names),
        ports={_parse_port(port): _parse_responder(place) for port, place in ports.items()},
    )


def _parse_responder(place: Any) -> tuple[str, int]:
    host, _, port = str(place).rpartition(":")
    try:
        local = ip_address(host.strip("[]")).is_loopback
    except ValueError:
        local = False
    if not local:
        raise _refusal(f"the responder {place!r} is not on this machine's loopback")
    return host.strip("[]"), _parse_port(port)


def _parse_port(text: Any) -> int:
    if not str(text).isdecimal() or not 0 < int(text) <= _MAX_PORT:
        raise _refusal(f"{text!r} is no port")
    return int(text)


def _refusal(problem: str) -> UsageError:
    return UsageError(
        f"the stand-in internet cannot be used: {problem}",
        expected='{"hosts": [{"names": ["api.example.com"], "ports": {"443": "127.0.0.1:4433"}}]}',
        next_step="correct the file, or what was sent to PUT /_harness/internet",
    )
