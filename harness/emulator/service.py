"""Everything that one emulator consists of, handed to those who answer requests."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from harness.emulator.after_images import AfterImages
from harness.emulator.builds import Builder
from harness.emulator.catalogue import Catalogue
from harness.emulator.chronicle import Chronicle
from harness.emulator.credentials import Credentials
from harness.emulator.faults import Faults
from harness.emulator.figures import Figures
from harness.emulator.ledger import Ledger
from harness.emulator.ownership import Ownership
from harness.emulator.sandboxes import Sandboxes
from harness.emulator.secret_store import SecretStore
from harness.emulator.service_clock import ServiceClock
from harness.emulator.snapshots import Snapshots
from harness.emulator.volumes import Volumes

__all__ = ["EmulatedService"]

_API = "api."


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatedService:
    """One emulator.

    Attributes:
        domain: the name under which sandboxes are reached, with the port.
        clock: the service's clock.
        credentials: the API key and the admin token.
        catalogue: the templates.
        builder: builds templates.
        volumes: folders that outlive sandboxes.
        secrets: what is written and never read.
        sandboxes: the sandboxes.
        snapshots: files of sandboxes that others start from.
        after_images: files of those that ended.
        ledger: the requests.
        faults: the weather.
        ownership: stamps sandboxes.
        chronicle: what happened to sandboxes: logs, events, counts.
        figures: what they use.
        sign_in: whether a browser may be given the person's tokens.
        seed: what ids are made from, again after each reset; None is chance.
    """

    domain: str
    clock: ServiceClock
    credentials: Credentials
    catalogue: Catalogue
    builder: Builder
    volumes: Volumes
    secrets: SecretStore
    sandboxes: Sandboxes
    snapshots: Snapshots
    after_images: AfterImages
    ledger: Ledger
    faults: Faults
    ownership: Ownership
    chronicle: Chronicle
    figures: Figures
    sign_in: bool = False
    seed: int | None = None

    def domain_for(self, request: Request) -> str:
        """The domain of the sandboxes in the answer to a request.

        A client that knows the API as `api.<domain>` finds sandboxes below that domain.
        """
        name = request.headers.get("host", "").lower()
        return name.removeprefix(_API) if name.startswith(_API) else self.domain
