"""The public names of sandboxes, as other sandboxes reach them over a stand-in internet.

To a sandbox, `<port>-<id>.e2b.app` is a host like any other: its name resolves, TLS
verifies, the rules of its network and their header transforms hold.

Differs: the names are there with a stand-in internet and a proxy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.emulator.internet import Internet, InternetHost

__all__ = ["Neighbours"]

_ADDRESS = "198.19.255.254"  # RFC 2544: for tests; far from those that hosts get by number
_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Where sandboxes find each other.

    Attributes:
        domains: below which their public names are.
        place: the listener on loopback that speaks TLS and leads to sandboxes only.
        authority: PEM certificate that the listener's certificates are held to.
    """

    domains: Sequence[str]
    place: tuple[str, int]
    authority: str = field(repr=False)

    def beside(self, internet: Internet) -> Internet:
        """An internet that has the sandboxes' public names, too.

        A host of the test's own with one of these names goes first.
        """
        host = InternetHost(
            address=_ADDRESS,
            names=tuple(f"*.{domain}" for domain in self.domains),
            ports={_HTTPS_PORT: self.place},
        )
        return Internet(
            hosts=(*internet.hosts, host), authority=f"{internet.authority}\n{self.authority}"
        )
