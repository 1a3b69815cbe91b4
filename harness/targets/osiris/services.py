"""What cases need beside the product: today a database."""

from __future__ import annotations

import weakref
from collections.abc import Collection

from harness.model.run import PipelineCase
from harness.model.side import Endpoint
from harness.settings import Settings
from harness.targets.osiris.database import HOST, Databases, offer
from harness.targets.osiris.project import user_variables

__all__ = ["KNOWN_NEEDS", "MYSQL", "Services"]

MYSQL = "mysql"
KNOWN_NEEDS = frozenset({MYSQL})
_LOOPBACK = "127.0.0.1"


class Services:
    """Starts what a case needs when it is first needed.

    `close` ends it, and so does the end of this value or of its process. A copy in another
    process starts what it needs by itself.
    """

    def __init__(self) -> None:
        self._databases = Databases()
        weakref.finalize(self, self._databases.close)

    def __reduce__(self) -> tuple[type[Services], tuple[()]]:
        """Nothing that runs is handed to another process."""
        return Services, ()

    def give(self, case: PipelineCase, endpoint: Endpoint | None) -> dict[str, str]:
        """The variables by which the product finds what the case needs, ready to be used.

        Args:
            case: says what it needs.
            endpoint: where its sandbox will be; None on the local side.

        Raises:
            NotRunError: if it is not to be had here.
            BrokenError: if it does not start.
        """
        if MYSQL not in case.needs:
            return {}
        database = self._databases.get()
        if endpoint is not None:
            offer(endpoint, database)
        return database.variables(_host(endpoint))

    def variables(
        self, case: PipelineCase, settings: Settings, endpoint: Endpoint | None
    ) -> Collection[str]:
        """The names of all that a user would have set for the case."""
        given: dict[str, str] = {}
        if MYSQL in case.needs:
            given = self._databases.get().variables(_host(endpoint))
        return user_variables(case, settings, given).keys()

    def volatile(self, case: PipelineCase, endpoint: Endpoint | None) -> dict[str, str]:
        """What of it differs from run to run, with its token."""
        if MYSQL not in case.needs:
            return {}
        return self._databases.get().volatile(_host(endpoint))

    def close(self) -> None:
        """Ends what was started; again is fine."""
        self._databases.close()


def _host(endpoint: Endpoint | None) -> str:
    return _LOOPBACK if endpoint is None else HOST
