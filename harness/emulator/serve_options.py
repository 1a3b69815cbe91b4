"""How an emulator is to run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from harness.emulator.catalogue import BUILT_IN_NAMES
from harness.emulator.internet import Internet
from harness.emulator.isolation import IsolationMode, Network, SandboxHost
from harness.emulator.plans import Plan
from harness.emulator.templates import TemplateEnvironment

__all__ = ["ServeOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How an emulator is to run.

    Attributes:
        port: on the loopback address; 0 takes a free one.
        proxy: whether there is a proxy with TLS, for clients that know only E2B's public names.
        proxy_port: of that proxy; 0 takes a free one.
        domains: hosts that the emulator plays beside E2B's own, with all below them.
        isolation: what isolates sandboxes.
        network: what sandboxes can reach.
        environment: what the templates offer; None is a bare Python.
        interpreter: whether sandboxes of the code interpreter's template run code;
            `environment` then holds what that needs.
        internet: what stands for the internet; without a host there is none.
        state_base: where its folder is made; None is the user's temp folder.
        pool_size: how many sandboxes wait ready.
        plan: what the team may do.
        run_id: the run that unlabelled requests belong to; None makes one up.
        stamp: whether sandboxes are labelled with their owner.
        parent_pid: the process that it is not to outlive; None outlives everyone.
        seed: makes ids, and the probability of faults, the same after each start and reset.
        sign_in: whether E2B's command line can be signed in, by whoever asks for it.
    """

    port: int = 0
    proxy: bool = False
    proxy_port: int = 0
    domains: tuple[str, ...] = ()
    isolation: IsolationMode = IsolationMode.BUBBLEWRAP
    network: Network = Network.NONE
    environment: TemplateEnvironment | None = None
    interpreter: bool = False
    internet: Internet = field(default_factory=Internet)
    state_base: Path | None = None
    pool_size: int = 2
    plan: Plan = Plan.NONE
    run_id: str | None = None
    stamp: bool = True
    parent_pid: int | None = None
    seed: int | None = None
    sign_in: bool = False

    def host(self, folder: Path) -> SandboxHost:
        """What starts the sandboxes, not yet opened.

        Args:
            folder: where they keep their files.
        """
        known = {} if self.environment is None else dict.fromkeys(BUILT_IN_NAMES, self.environment)
        return SandboxHost(
            folder,
            mode=self.isolation,
            templates=known,
            pool_size=self.pool_size,
            pool_network=self.network,
        )
