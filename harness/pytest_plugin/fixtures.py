"""An E2B for a test to talk to: the emulator, or the live service behind the gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from harness.model.side import Endpoint
from harness.pytest_plugin.live import is_live, live_on_emulator, load_settings
from harness.settings import Secret, Settings

if TYPE_CHECKING:
    # Imported when a fixture is used: every pytest run of the user loads this module.
    from harness.emulator.attach import Emulator
    from harness.gateway import Gateway

__all__ = ["E2BEnvironment", "e2b_endpoint", "e2b_env", "harness_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class E2BEnvironment:
    """How E2B is configured for a test.

    Attributes:
        endpoint: what stands at the far end.
        api_key: the key for it.
        timeout_s: how long a sandbox may live (E2B_TIMEOUT).
        live: whether it is the real service.
        env: the variables that were put into the process environment.
    """

    endpoint: Endpoint
    api_key: Secret
    timeout_s: int
    live: bool
    env: dict[str, str] = field(repr=False)


@pytest.fixture(scope="session")
def harness_settings(pytestconfig: pytest.Config) -> Settings:
    """What the run was told by its environment and by `testing_env/.env`."""
    return load_settings(pytestconfig)


@pytest.fixture(scope="session")
def _harness_emulators(
    pytestconfig: pytest.Config, harness_settings: Settings
) -> Iterator[Callable[[tuple[str, ...]], Emulator]]:
    """Emulators of this process by their template's packages, each started once."""
    from harness.emulator.attach import Emulator  # noqa: PLC0415 - see above

    running: dict[tuple[str, ...], Emulator] = {}
    extra = tuple(pytestconfig.getini("e2b_template_packages"))

    def emulator(packages: tuple[str, ...]) -> Emulator:
        wanted = (*packages, *extra)
        if wanted not in running:
            running[wanted] = Emulator(
                packages=wanted or None,
                template_dir=harness_settings.testing_env / "templates",
            )
            running[wanted].start()
        return running[wanted]

    yield emulator
    for started in running.values():
        started.stop()


@pytest.fixture(scope="session")
def _harness_gateways(
    harness_settings: Settings,
) -> Iterator[Callable[[Endpoint], Gateway]]:
    """Gateways of this process by the service that stands behind them, each started once."""
    from harness.gateway import Gateway  # noqa: PLC0415 - see above

    running: dict[str, Gateway] = {}

    def gateway(upstream: Endpoint) -> Gateway:
        service = upstream.env["E2B_API_URL"]
        if service not in running:
            running[service] = Gateway(
                upstream=upstream, state_dir=harness_settings.testing_env / "gateway"
            )
            running[service].start()
        return running[service]

    yield gateway
    for started in running.values():
        started.stop()


@pytest.fixture
def e2b_endpoint(
    request: pytest.FixtureRequest,
    _harness_emulators: Callable[[tuple[str, ...]], Emulator],
    _harness_gateways: Callable[[Endpoint], Gateway],
    harness_settings: Settings,
) -> Iterator[Endpoint]:
    """An E2B that is ready and empty: an emulator on a free port, or the service when live.

    The emulator is started once for each process (also under xdist) and reset
    before each test. Live, the gateway stands in between: it tags what is created
    and ends it when the test is over. A test that leaves a sandbox running fails,
    unless it is marked with `e2b_leaves_sandboxes`.
    """
    from harness.pytest_plugin.leaks import recorded_creates, refuse_leftovers  # noqa: PLC0415

    node: pytest.Item = request.node
    packages = _template_packages(request)
    if not is_live(node):
        emulator = _harness_emulators(packages)
        emulator.reset()
        emulator.admin.begin_test(node.nodeid)
        endpoint, before = emulator.endpoint, None
        if request.config.getoption("--e2b-gateway"):
            # To the test it is the emulator still, with its clock, its faults and its ledger.
            before = _harness_gateways(endpoint)
            before.begin_test(node.nodeid)
            endpoint = replace(endpoint, env=before.endpoint.env)
        with recorded_creates() as created:
            yield endpoint
        left = [row for row in emulator.sandboxes() if row["state"] != "killed"]
        emulator.reset()
        if before is not None:
            before.reap()
        refuse_leftovers(node, {row["sandbox_id"]: row["creator"] for row in left}, created.stacks)
        return
    if live_on_emulator(request.config):
        emulator = _harness_emulators(packages)
        emulator.reset()
        upstream = emulator.endpoint
    else:
        upstream = service_endpoint(harness_settings)
    gateway = _harness_gateways(upstream)
    gateway.begin_test(node.nodeid)
    with recorded_creates() as created:
        yield gateway.endpoint
    rows = [row for row in gateway.sandboxes() if row["state"] == "alive"]
    gateway.reap()
    gateway.begin_test("")
    refuse_leftovers(node, {row["sandbox_id"]: row["creator"] for row in rows}, created.stacks)


@pytest.fixture
def e2b_env(
    request: pytest.FixtureRequest,
    e2b_endpoint: Endpoint,
    harness_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> E2BEnvironment:
    """E2B's configuration, put into the process environment for the length of the test."""
    for name, value in e2b_endpoint.env.items():
        monkeypatch.setenv(name, value)
    return E2BEnvironment(
        endpoint=e2b_endpoint,
        api_key=Secret("E2B_API_KEY", e2b_endpoint.env["E2B_API_KEY"]),
        timeout_s=harness_settings.sandbox_timeout_s,
        live=is_live(request.node) and not live_on_emulator(request.config),
        env=dict(e2b_endpoint.env),
    )


def service_endpoint(settings: Settings) -> Endpoint:
    """The real service, as the settings describe it.

    Raises:
        NotRunError: if there is no key.
        UsageError: if its URL is none, or `E2B_DEBUG` is on.
    """
    from harness.sdk import ApiEndpoint  # noqa: PLC0415 - see above

    return Endpoint(name="live", env=ApiEndpoint.from_settings(settings).to_env())


def _template_packages(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The packages that Osiris's worker needs, where the test runs Osiris."""
    if "osiris_target" not in request.fixturenames:
        return ()
    packages: tuple[str, ...] = request.getfixturevalue("osiris_target").template_packages()
    return packages
