"""Are sandboxes that nobody needs found and ended, and all others left alone?

The real SDK and the real clean-up, against the emulator; time passes by the
emulator's clock. The tests at the end run live as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2b import E2B, Sandbox

from harness.emulator.admin.client import AdminClient
from harness.emulator.attach import Emulator, admin
from harness.errors import BrokenError, LeakError
from harness.gateway import Gateway
from harness.model.side import Endpoint
from harness.orphans import cleanup_orphaned_sandboxes, read_ledgers
from harness.orphans.owners import dead_runs

# Sandboxes that are left alone are what most of these tests are about.
pytestmark = [pytest.mark.e2b, pytest.mark.e2b_smoke, pytest.mark.e2b_leaves_sandboxes]

HOUR = 3600
DAY = 24 * HOUR
SCRIPT_TIMEOUT_S = 200


def client_of(endpoint: Endpoint) -> E2B:
    env = endpoint.env
    return E2B(
        api_key=env["E2B_API_KEY"],
        api_url=env["E2B_API_URL"],
        sandbox_url=env.get("E2B_SANDBOX_URL"),
    )


def alive(client: E2B) -> set[str]:
    found, pages = set(), client.Sandbox.list()
    while pages.has_next:
        found |= {info.sandbox_id for info in pages.next_items()}
    return found


@pytest.fixture
def emulator(e2b_endpoint: Endpoint) -> AdminClient:
    """The emulator's clock and faults; the real service offers neither."""
    if e2b_endpoint.name != "emulator":
        pytest.skip("NOT_RUN: needs the emulator's clock")
    return admin(e2b_endpoint)


@pytest.fixture
def client(e2b_endpoint: Endpoint) -> E2B:
    return client_of(e2b_endpoint)


class TestOrphanSandboxDetection:
    def test_age_decides_by_the_services_clock(self, client: E2B, emulator: AdminClient) -> None:
        """Older than two hours is an orphan, a little younger is not, whatever our clock says."""
        sandbox = client.Sandbox.create(timeout=DAY)
        emulator.advance(2 * HOUR - 120)
        assert cleanup_orphaned_sandboxes(client, max_age_hours=2, dry_run=True) == []
        emulator.advance(125)
        younger = client.Sandbox.create(timeout=DAY)
        found = cleanup_orphaned_sandboxes(client, max_age_hours=2, dry_run=True)
        assert found == [sandbox.sandbox_id]
        assert alive(client) == {sandbox.sandbox_id, younger.sandbox_id}

    def test_age_is_a_choice(self, client: E2B, emulator: AdminClient) -> None:
        """A quarter of an hour is as good an age as two hours."""
        sandbox = client.Sandbox.create(timeout=DAY)
        emulator.advance(HOUR / 2)
        found = cleanup_orphaned_sandboxes(client, max_age_hours=0.25, dry_run=True)
        assert found == [sandbox.sandbox_id]

    def test_paused_sandbox_past_its_time_is_an_orphan(
        self, client: E2B, emulator: AdminClient
    ) -> None:
        """What pauses at its timeout never ends by itself."""
        sandbox = client.Sandbox.create(timeout=60, lifecycle={"on_timeout": "pause"})
        emulator.advance(65)
        assert client.Sandbox.get_info(sandbox.sandbox_id).state.value == "paused"
        assert cleanup_orphaned_sandboxes(client, dry_run=True) == []
        emulator.advance(60)
        assert cleanup_orphaned_sandboxes(client) == [sandbox.sandbox_id]
        assert alive(client) == set()

    def test_renewed_sandbox_is_none(self, client: E2B, emulator: AdminClient) -> None:
        """Somebody asked for more time after the create, so somebody needs it."""
        sandbox = client.Sandbox.create(timeout=4 * HOUR)
        emulator.advance(3 * HOUR)
        assert cleanup_orphaned_sandboxes(client, dry_run=True) == [sandbox.sandbox_id]
        sandbox.set_timeout(2 * HOUR)
        assert cleanup_orphaned_sandboxes(client) == []

    def test_more_than_one_page_is_searched(self, client: E2B, emulator: AdminClient) -> None:
        """An orphan on the last page is found among sandboxes that are none."""
        orphan = client.Sandbox.create(timeout=DAY)
        emulator.advance(3 * HOUR)
        rows = [client.Sandbox.create(timeout=DAY).sandbox_id for _ in range(3)]
        pages = client.Sandbox.list(limit=1)
        assert [len(pages.next_items()) for _ in range(4)] == [1, 1, 1, 1]
        assert cleanup_orphaned_sandboxes(client) == [orphan.sandbox_id]
        assert alive(client) == set(rows)


class TestCleanupUtility:
    @pytest.fixture
    def orphan(self, client: E2B, emulator: AdminClient) -> str:
        sandbox = client.Sandbox.create(timeout=DAY)
        emulator.advance(3 * HOUR)
        return sandbox.sandbox_id

    def test_dry_run_ends_nothing(self, client: E2B, emulator: AdminClient, orphan: str) -> None:
        """It only reads: not one DELETE reaches the service."""
        assert cleanup_orphaned_sandboxes(client, dry_run=True) == [orphan]
        assert alive(client) == {orphan}
        assert "DELETE" not in {entry["method"] for entry in emulator.ledger()}

    def test_force_ends_exactly_the_orphan(self, client: E2B, orphan: str) -> None:
        """The young one still runs commands; a second clean-up finds nothing."""
        young = client.Sandbox.create(timeout=DAY)
        assert cleanup_orphaned_sandboxes(client, dry_run=False) == [orphan]
        assert alive(client) == {young.sandbox_id}
        assert young.commands.run("echo here").stdout == "here\n"
        assert cleanup_orphaned_sandboxes(client, dry_run=False) == []

    def test_limit_is_waited_for(self, client: E2B, emulator: AdminClient, orphan: str) -> None:
        """429 with Retry-After delays the kill and does not lose it."""
        emulator.fault("DELETE /sandboxes/*", status=429, headers={"Retry-After": "1"}, times=1)
        assert cleanup_orphaned_sandboxes(client) == [orphan]

    def test_kill_that_fails_is_reported(
        self, client: E2B, emulator: AdminClient, orphan: str
    ) -> None:
        """A service that stays out of order is an error that names the sandbox."""
        emulator.fault("DELETE /sandboxes/*", status=500, message="out of order", times=0)
        with pytest.raises(LeakError, match=f"{orphan}.*out of order"):
            cleanup_orphaned_sandboxes(client)
        assert alive(client) == {orphan}

    def test_kill_that_is_not_carried_out_is_noticed(
        self, client: E2B, emulator: AdminClient, orphan: str
    ) -> None:
        """An acknowledgement is no end: the second listing decides."""
        emulator.fault("DELETE /sandboxes/*", status=204, times=0)
        with pytest.raises(LeakError, match=f"{orphan}.*still alive"):
            cleanup_orphaned_sandboxes(client)

    def test_listing_that_fails_stops_everything(
        self, client: E2B, emulator: AdminClient, orphan: str
    ) -> None:
        """Without the whole listing nothing is ended."""
        emulator.fault("GET /v2/sandboxes*", status=503, times=0)
        with pytest.raises(BrokenError, match="503"):
            cleanup_orphaned_sandboxes(client)
        emulator.clear_faults()
        assert alive(client) == {orphan}

    def test_sandbox_that_ends_meanwhile_is_fine(
        self, client: E2B, emulator: AdminClient, orphan: str
    ) -> None:
        """Gone before the kill is gone."""
        emulator.fault("GET /sandboxes/*", vanish=True, times=1)
        assert cleanup_orphaned_sandboxes(client) == [orphan]


@pytest.fixture(scope="module")
def service() -> Iterator[Emulator]:
    """An emulator in the service's place: it stamps nothing, as the real one."""
    with Emulator("--no-stamp", "--bare") as emulator:
        yield emulator


FORGETFUL = """
import os, sys
from e2b import Sandbox
sandbox = Sandbox.create(timeout=3600)
print(sandbox.sandbox_id, flush=True)
if sys.argv[1] == "exception":
    raise RuntimeError("the test failed")
if sys.argv[1] == "kill -9":
    os.kill(os.getpid(), 9)
"""

SUPERVISOR = """
import json, os, pathlib, sys
from harness.gateway import Gateway
from harness.model.side import Endpoint
gateway = Gateway(upstream=Endpoint(name="emulator", env=json.loads(sys.argv[1])),
                  state_dir=pathlib.Path("testing_env/gateway"))
gateway.start()
print(json.dumps({"env": gateway.endpoint.env, "pid": gateway._process.pid}), flush=True)
sys.stdin.read()
"""


class TestSandboxLifecycleTracking:
    """What the gateway keeps track of; here the emulator is the service, and stamps nothing."""

    @pytest.fixture(autouse=True)
    def _project(self, service: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        service.reset()
        monkeypatch.chdir(tmp_path)

    def gateway(self, service: Emulator) -> Gateway:
        # Nothing is ended in the middle of a run, while a test looks at it.
        return Gateway(
            upstream=service.endpoint, state_dir=Path("testing_env/gateway"), owner_grace_s=None
        )

    def states(self, service: Emulator) -> list[Any]:
        return [sandbox["state"] for sandbox in service.sandboxes()]

    @pytest.mark.parametrize("how", ["plain exit", "exception", "kill -9"])
    def test_forgotten_sandbox_ends_with_the_run(self, service: Emulator, how: str) -> None:
        """However the client ended, the gateway ends what it created."""
        with self.gateway(service) as gateway:
            ended = subprocess.run(
                [sys.executable, "-c", FORGETFUL, how],
                env={**os.environ, **gateway.endpoint.env},
                capture_output=True,
                check=False,
                timeout=SCRIPT_TIMEOUT_S,
            )
            assert (ended.returncode == 0) is (how == "plain exit")
            assert gateway.alive() == (ended.stdout.decode().strip(),)
            assert self.states(service) == ["running"]
        assert self.states(service) == ["killed"]

    def test_exception_within_the_run_leaves_nothing(self, service: Emulator) -> None:
        """The test's own exception comes through, and its sandboxes are gone."""

        def failing_test(client: E2B) -> None:
            for _ in range(3):
                client.Sandbox.create()
            raise RuntimeError("the test failed")

        with pytest.raises(RuntimeError, match="failed"), self.gateway(service) as gateway:
            failing_test(client_of(gateway.endpoint))
        assert self.states(service) == ["killed"] * 3

    def test_files_of_a_killed_sandbox_are_kept(self, service: Emulator, tmp_path: Path) -> None:
        """What the client wrote is fetched before its kill is passed on."""
        with self.gateway(service) as gateway:
            sandbox = client_of(gateway.endpoint).Sandbox.create()
            sandbox.commands.run("mkdir -p out/deep && printf 'ž\\n' > 'out/deep/a b.csv'")
            sandbox.commands.run("head -c 300000 /dev/urandom > big; sha256sum big > sums")
            assert sandbox.kill()
            kept = AdminClient(gateway.endpoint)
            assert [row["sandbox_id"] for row in kept.after_images()] == [sandbox.sandbox_id]
            folder = kept.fetch_after_image(sandbox.sandbox_id, tmp_path / "image")
        assert (folder / "out/deep/a b.csv").read_text() == "ž\n"
        assert subprocess.run(["sha256sum", "-c", "sums"], cwd=folder, check=False).returncode == 0

    def test_what_somebody_else_created_stays(self, service: Emulator) -> None:
        """A sandbox that came by another way is not ours: not at the end, not in a sweep."""
        direct = client_of(service.endpoint)
        theirs = direct.Sandbox.create(timeout=DAY, metadata={"project": "theirs"})
        with self.gateway(service) as gateway:
            client_of(gateway.endpoint).Sandbox.create(timeout=DAY)
        service.advance(9 * HOUR)
        assert cleanup_orphaned_sandboxes(direct, max_age_hours=0) == []
        assert alive(direct) == {theirs.sandbox_id}

    def test_tags_that_somebody_copied_prove_nothing(self, service: Emulator) -> None:
        """A sandbox with the metadata of one of ours, whole or edited, is left alone."""
        direct = client_of(service.endpoint)
        with self.gateway(service) as gateway:
            ours = client_of(gateway.endpoint).Sandbox.create(
                timeout=HOUR, lifecycle={"on_timeout": "pause"}
            )
            tags = dict(direct.Sandbox.get_info(ours.sandbox_id).metadata)
            service.advance(200)
            copies = {
                direct.Sandbox.create(timeout=DAY, metadata=tags).sandbox_id,
                direct.Sandbox.create(
                    timeout=DAY, metadata={**tags, "harness_owner": "bob@elsewhere:1"}
                ).sandbox_id,
            }
            service.advance(3 * HOUR)
            assert cleanup_orphaned_sandboxes(direct) == [ours.sandbox_id]
            assert alive(direct) == copies

    def test_run_that_goes_on_keeps_its_sandboxes(self, service: Emulator) -> None:
        """A sweep next to a long run leaves alone what is merely old; without its gateway, not."""
        direct = client_of(service.endpoint)
        with contextlib.suppress(BrokenError), self.gateway(service) as gateway:  # killed below
            sandbox = client_of(gateway.endpoint).Sandbox.create(timeout=DAY)
            service.advance(9 * HOUR)
            assert cleanup_orphaned_sandboxes(direct) == []
            os.kill(gateway.pid, signal.SIGKILL)
            gone = os.pidfd_open(gateway.pid)
            assert select.select([gone], [], [], SCRIPT_TIMEOUT_S)[0]
            os.close(gone)
            assert cleanup_orphaned_sandboxes(direct) == [sandbox.sandbox_id]
        assert self.states(service) == ["killed"]

    @pytest.mark.parametrize(("lease_s", "left"), [(30, 0), (None, 1)])
    def test_lease_ends_what_nobody_is_left_to_end(
        self, service: Emulator, lease_s: int | None, left: int
    ) -> None:
        """A machine burns down: with a lease the service ends the sandbox within it."""
        folder = Path("testing_env/gateway")
        gateway = Gateway(upstream=service.endpoint, state_dir=folder, lease_s=lease_s)
        gateway.start()
        client_of(gateway.endpoint).Sandbox.create(timeout=DAY)
        os.kill(gateway.pid, signal.SIGKILL)
        with pytest.raises(BrokenError, match="exit code -9"):
            gateway.stop()
        service.advance(31)
        assert len(alive(client_of(service.endpoint))) == left

    def test_kill_9_of_everything_is_swept_after_the_grace(self, service: Emulator) -> None:
        """Gateway and parent die at once: the ledger proves it, and the sweep needs no age."""
        command = [sys.executable, "-c", SUPERVISOR, json.dumps(service.env)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
            assert parent.stdout is not None
            ready = json.loads(parent.stdout.readline())
            gone = os.pidfd_open(ready["pid"])
            sandbox = client_of(Endpoint(name="x", env=ready["env"])).Sandbox.create(timeout=DAY)
            os.kill(ready["pid"], signal.SIGKILL)
            parent.kill()
            assert select.select([gone], [], [], SCRIPT_TIMEOUT_S)[0]
            os.close(gone)
        assert len(dead_runs(read_ledgers(Path("testing_env/gateway")))) == 1
        direct = client_of(service.endpoint)
        assert cleanup_orphaned_sandboxes(direct) == []
        service.advance(65)
        assert cleanup_orphaned_sandboxes(direct) == [sandbox.sandbox_id]
        assert self.states(service) == ["killed"]


class TestLiveOrphans:
    @pytest.mark.e2b_live
    def test_live_orphan_detection(self, e2b_endpoint: Endpoint) -> None:
        """A sandbox of this run is seen as ours, and gone when it was killed; nothing else is."""
        client = client_of(e2b_endpoint)
        sandbox = client.Sandbox.create(timeout=120)
        assert sandbox.sandbox_id not in cleanup_orphaned_sandboxes(client, dry_run=True)
        assert sandbox.kill()
        assert sandbox.sandbox_id not in alive(client)
        assert not Sandbox.kill(
            sandbox.sandbox_id,
            api_key=e2b_endpoint.env["E2B_API_KEY"],
            api_url=e2b_endpoint.env["E2B_API_URL"],
        )
