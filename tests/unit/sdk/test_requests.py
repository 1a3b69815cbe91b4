"""Requests to the API: polite to limits, patient with failures, honest about both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from e2b_stand_in import KEY, StandIn, refusal, serve
from starlette.responses import JSONResponse, Response

from harness.clock import ManualClock
from harness.errors import BrokenError, HarnessError, UsageError
from harness.sdk import ApiEndpoint, ApiSandboxDirectory, IncompleteListingError
from harness.sdk.requests import ApiRequests, Patience


@dataclass
class Bench:
    service: StandIn
    directory: ApiSandboxDirectory
    clock: ManualClock


@pytest.fixture
def bench() -> Iterator[Bench]:
    with serve() as service:
        clock = ManualClock()
        endpoint = ApiEndpoint.from_env({"E2B_API_KEY": KEY, "E2B_API_URL": service.url})
        requests = ApiRequests(
            endpoint, patience=Patience(limited_s=60), clock=clock, sleep=clock.advance
        )
        with ApiSandboxDirectory(endpoint, requests=requests) as directory:
            yield Bench(service, directory, clock)


def test_limit_is_waited_for_as_long_as_the_service_says(bench: Bench) -> None:
    """Retry-After is honoured to the second, and the request then succeeds."""
    bench.service.plant("iabc")
    bench.service.fail("GET /v2/sandboxes", refusal(429, retry_after="7"))
    assert len(bench.directory.list()) == 1
    assert bench.clock.monotonic_s() == 7


def test_limit_as_a_date_is_waited_for(bench: Bench) -> None:
    """Retry-After may be an instant of the service's clock."""
    answer = refusal(429, retry_after="Thu, 01 Jan 2026 00:00:09 GMT")
    bench.service.fail("GET /v2/sandboxes", answer)
    bench.directory.list()
    assert bench.clock.monotonic_s() == 9


def test_limit_that_does_not_pass_is_named_with_what_is_known(bench: Bench) -> None:
    """After its patience the error carries the limit headers, in three lines."""
    limited = [
        refusal(429, "Rate limit exceeded", retry_after="20", ratelimit_limit="10")
        for _ in range(4)
    ]
    bench.service.fail("GET /v2/sandboxes", *limited)
    with pytest.raises(BrokenError, match="429 on GET /v2/sandboxes") as caught:
        bench.directory.list()
    assert "retry-after: 20" in caught.value.happened
    assert "ratelimit-limit: 10" in caught.value.happened
    assert bench.clock.monotonic_s() == 60
    assert len(caught.value.lines()) == 3


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_failure_of_the_service_is_tried_again(bench: Bench, status: int) -> None:
    """Four failures in a row are waited out."""
    bench.service.fail("GET /v2/sandboxes", *(refusal(status) for _ in range(4)))
    assert list(bench.directory.list()) == []
    assert bench.clock.monotonic_s() > 0


def test_failure_that_stays_is_named(bench: Bench) -> None:
    """The fifth failure is the last."""
    bench.service.fail("DELETE /", *(refusal(500, "out of order") for _ in range(5)))
    with pytest.raises(BrokenError, match="500 on DELETE /sandboxes/iabc: out of order"):
        bench.directory.kill("iabc")


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_key_is_a_setting_and_is_not_shown(bench: Bench, status: int) -> None:
    """The refusal is not retried, says which variable to check, and never shows the key."""
    bench.service.fail("GET /v2/sandboxes", refusal(status, "invalid API key"))
    with pytest.raises(UsageError, match="invalid API key") as caught:
        bench.directory.list()
    assert "E2B_API_KEY" in caught.value.next_step
    assert KEY not in str(caught.value)
    assert len(bench.service.requests) == 1


def test_unreachable_host_is_named(unused_tcp_port: int) -> None:
    """Nobody listens: three lines with the URL, after a few attempts."""
    clock = ManualClock()
    url = f"http://127.0.0.1:{unused_tcp_port}"
    endpoint = ApiEndpoint.from_env({"E2B_API_KEY": KEY, "E2B_API_URL": url})
    requests = ApiRequests(endpoint, clock=clock, sleep=clock.advance)
    with (
        ApiSandboxDirectory(endpoint, requests=requests) as directory,
        pytest.raises(BrokenError, match=url) as caught,
    ):
        directory.list()
    assert len(caught.value.lines()) == 3
    assert clock.monotonic_s() > 1


@pytest.mark.parametrize(
    "answer",
    [
        Response("<html>a proxy</html>", media_type="text/html"),
        JSONResponse({"sandboxes": []}),
        JSONResponse([{"sandboxID": "iabc"}]),
        JSONResponse(["iabc"]),
    ],
)
def test_listing_that_cannot_be_read_is_incomplete(bench: Bench, answer: Response) -> None:
    """What is no listing leads to no conclusion."""
    bench.service.fail("GET /v2/sandboxes", answer)
    with pytest.raises(IncompleteListingError):
        bench.directory.list()


def test_listing_with_a_lost_page_is_incomplete(bench: Bench) -> None:
    """Fewer rows than the service counts are noticed, however often it is asked."""
    for number in range(350):
        bench.service.plant(f"i{number:03d}", age_s=number)
    bench.service.hidden_pages = 1
    with pytest.raises(IncompleteListingError, match="of 350 running"):
        bench.directory.list()


def test_listing_that_lacks_one_of_many_is_incomplete(bench: Bench) -> None:
    """One row of hundreds that the service counts and never shows is not forgiven."""
    for number in range(350):
        bench.service.plant(f"i{number:03d}", age_s=number)
    bench.service.unlisted.add("i222")
    with pytest.raises(IncompleteListingError, match="1 of 350"):
        bench.directory.list()


def test_listing_while_sandboxes_end_is_whole(bench: Bench) -> None:
    """As many as end between two listings may have ended within one."""
    for number in range(350):
        bench.service.plant(f"i{number:03d}", age_s=number)
    bench.service.ends_after_a_page = 1
    listed = [record.sandbox_id for record in bench.directory.list()]
    assert listed[:300] == [f"i{number:03d}" for number in range(300)]


def test_listing_that_goes_in_circles_is_incomplete(bench: Bench) -> None:
    """A page that points back ends the reading."""
    circle = [JSONResponse([], headers={"X-Next-Token": "again"}) for _ in range(2)]
    bench.service.fail("GET /v2/sandboxes", *circle)
    with pytest.raises(IncompleteListingError, match="points back"):
        bench.directory.list()


def test_service_clock_is_the_services(bench: Bench) -> None:
    """The Date of the last answer, plus what has passed since; None before the first."""
    assert bench.directory.service_now() is None
    bench.service.clock.advance(3600.7)
    bench.directory.list()
    start = ManualClock().now()
    assert bench.directory.service_now() == start + timedelta(seconds=3600)
    bench.clock.advance(5)
    assert bench.directory.service_now() == start + timedelta(seconds=3605)


def test_odd_id_is_quoted(bench: Bench) -> None:
    """An id from a ledger or a person cannot reach another route."""
    assert bench.directory.get("../v2/sandboxes") is None
    assert bench.service.requests[-1][1] != "/v2/sandboxes"


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, "https://api.e2b.app"),
        ({"E2B_DOMAIN": "e2b.dev"}, "https://api.e2b.dev"),
        ({"E2B_DOMAIN": "e2b.dev", "E2B_API_URL": "http://127.0.0.1:1/"}, "http://127.0.0.1:1"),
    ],
)
def test_endpoint_is_where_the_sdk_would_look(env: dict[str, str], expected: str) -> None:
    """The URL beats the domain, the domain beats the default."""
    endpoint = ApiEndpoint.from_env({"E2B_API_KEY": KEY, **env})
    assert endpoint.api_url == expected
    assert KEY not in repr(endpoint)


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({}, "E2B_API_KEY not set"),
        ({"E2B_API_KEY": KEY, "E2B_DEBUG": "True"}, "E2B_DEBUG is on"),
        ({"E2B_API_KEY": KEY, "E2B_API_URL": "localhost:3000"}, "is no URL"),
    ],
)
def test_endpoint_that_does_not_fit_is_refused(env: dict[str, str], words: str) -> None:
    """Three lines each."""
    with pytest.raises(HarnessError, match=words) as caught:
        ApiEndpoint.from_env(env)
    assert len(caught.value.lines()) == 3
