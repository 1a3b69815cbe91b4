"""The versions of E2B's SDKs that the emulator is held to, and how each is led to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from packaging.version import Version

from harness.errors import UsageError
from harness.targets.osiris.environment import DEFAULT_SDK
from harness.workflow.client_environments import NEWEST

__all__ = ["MATRIX", "Attach", "Client", "Language", "chosen"]


class Attach(StrEnum):
    """How a client is led to the emulator."""

    VARIABLES = "variables"
    PROXY_OPTION = "option proxy"
    PROXY_AGENT = "proxy agent"


class Language(StrEnum):
    """Whose SDK."""

    PYTHON = "python"
    JAVASCRIPT = "js"
    INTERPRETER = "code-interpreter"


_FIRST_BY_VARIABLES = {
    Language.PYTHON: Version("2.30"),
    Language.JAVASCRIPT: Version("2.20"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One version of one SDK.

    Attributes:
        language: whose.
        version: such as "2.45.1", or "newest".
    """

    language: Language
    version: str

    @property
    def name(self) -> str:
        """As a person names it: "python-2.45.1"."""
        return f"{self.language}-{self.version}"

    @property
    def attached_by(self) -> Attach:
        """How it is led to the emulator, without a change to the SDK.

        E2B_SANDBOX_URL leads all sandboxes to one address, so each request has to name its
        sandbox. Before these versions there is no such variable, or a connected client does
        not name it: sandboxes have public names only then, and no client that is as old
        reads HTTPS_PROXY by itself.
        Source: e2b 2.4.2, 2.24.0 and 2.30.0 e2b/connection_config.py and
        e2b/sandbox_sync/main.py (a transport of its own, with the option `proxy`); e2b 2.4.2
        of npm, dist/index.mjs (Node's fetch).
        """
        if self.version == NEWEST or self.language is Language.INTERPRETER:
            return Attach.VARIABLES
        if Version(self.version) >= _FIRST_BY_VARIABLES[self.language]:
            return Attach.VARIABLES
        if self.language is Language.PYTHON:
            return Attach.PROXY_OPTION
        return Attach.PROXY_AGENT


# Each is the last before, or the first after, a change on the wire. npm's numbers part from
# the index's after 2.45: of those here, it has no 2.45.1, and nothing after 2.51.
MATRIX = (
    *(
        Client(language=Language.PYTHON, version=version)
        for version in ("2.4.2", "2.20.0", "2.45.1", "2.51.0", "2.57.0", "2.63.0", NEWEST)
    ),
    *(
        Client(language=Language.JAVASCRIPT, version=version)
        for version in ("2.4.2", "2.20.0", "2.45.0", "2.51.0", NEWEST)
    ),
    Client(language=Language.INTERPRETER, version=DEFAULT_SDK.partition("==")[2]),
)


def chosen(names: Sequence[str]) -> tuple[Client, ...]:
    """The clients of these names; all of the matrix where there is none.

    A version outside of the matrix may be named too: "python-2.60.0".

    Raises:
        UsageError: if a name is not a language and a version.
    """
    if not names:
        return MATRIX
    languages = "|".join(Language)
    found = []
    for name in names:
        match = re.fullmatch(rf"({languages})-(newest|\d[0-9A-Za-z.]*)", name)
        if match is None:
            raise UsageError(
                f"not a client: {name!r}",
                expected=f"a language ({', '.join(Language)}) and a version: python-2.45.1",
                next_step="harness versions run --only python-newest",
            )
        found.append(Client(language=Language(match[1]), version=match[2]))
    return tuple(found)
