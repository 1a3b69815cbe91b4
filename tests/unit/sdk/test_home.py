"""What a sandbox holds comes out whole, or not at all; the emulator is the far end."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2b import E2B, Sandbox

from harness.emulator.attach import Emulator
from harness.sdk import ApiEndpoint
from harness.sdk.home import HomeNotCollectedError, collect_home


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ApiEndpoint]:
    with Emulator("--bare") as emulator:
        yield ApiEndpoint.from_env(emulator.env)


@pytest.fixture
def sandbox(endpoint: ApiEndpoint) -> Iterator[Sandbox]:
    client = E2B(
        api_key=endpoint.api_key.reveal(),
        api_url=endpoint.api_url,
        sandbox_url=endpoint.sandbox_url,
    )
    sandbox = client.Sandbox.create()
    yield sandbox
    sandbox.kill()


def contents(archive: Path) -> dict[str, bytes | str | None]:
    found: dict[str, bytes | str | None] = {}
    with tarfile.open(archive, "r:") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            found[member.name] = file.read() if file else member.linkname or None
    return found


def test_home_comes_out_with_relative_names(
    sandbox: Sandbox, endpoint: ApiEndpoint, tmp_path: Path
) -> None:
    """Deep, hidden, empty, odd, linked, and other users' files; as a plain tar."""
    sandbox.commands.run(
        "mkdir -p a/b && echo 1 > a/b/c && touch .hidden 'sp ace' && ln -s a/b/c l"
    )
    sandbox.commands.run(
        "echo root > root.txt && chmod 600 root.txt", user="root", cwd="/home/user"
    )
    size = collect_home(sandbox.sandbox_id, endpoint, tmp_path / "home.tar")
    assert size == (tmp_path / "home.tar").stat().st_size
    found = contents(tmp_path / "home.tar")
    assert found["a/b/c"] == b"1\n"
    assert found["root.txt"] == b"root\n"
    assert (found[".hidden"], found["sp ace"], found["l"]) == (b"", b"", "a/b/c")
    assert not [name for name in found if name.startswith(("/", "./", ".."))]


def test_home_is_collected_without_a_longer_life(
    sandbox: Sandbox, endpoint: ApiEndpoint, tmp_path: Path
) -> None:
    """A sweep would take a renewal for somebody's wish, and leave the sandbox alone."""
    sandbox.set_timeout(60)
    end = sandbox.get_info().end_at
    collect_home(sandbox.sandbox_id, endpoint, tmp_path / "home.tar")
    assert sandbox.get_info().end_at == end


@pytest.mark.parametrize("source", ["/dev/urandom", "/dev/zero"])
def test_home_that_is_too_large_is_not_collected(
    sandbox: Sandbox, endpoint: ApiEndpoint, tmp_path: Path, source: str
) -> None:
    """Packed or unpacked: what is past the limit leaves no half file behind."""
    sandbox.commands.run(f"head -c 3000000 {source} > big")
    with pytest.raises(HomeNotCollectedError, match="larger than 1000000 bytes"):
        collect_home(sandbox.sandbox_id, endpoint, tmp_path / "home.tar", limit_bytes=1_000_000)
    assert list(tmp_path.iterdir()) == []


def test_home_of_a_gone_sandbox_is_not_collected(
    sandbox: Sandbox, endpoint: ApiEndpoint, tmp_path: Path
) -> None:
    """Three lines say which sandbox, and why; the key is in none of them."""
    sandbox.kill()
    with pytest.raises(HomeNotCollectedError, match=sandbox.sandbox_id) as caught:
        collect_home(sandbox.sandbox_id, endpoint, tmp_path / "home.tar")
    assert len(caught.value.lines()) == 3
    assert endpoint.api_key.reveal() not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_home_without_tar_is_not_collected(
    sandbox: Sandbox, endpoint: ApiEndpoint, tmp_path: Path
) -> None:
    """A sandbox whose home is gone cannot be packed."""
    sandbox.commands.run("rm -rf /home/user", user="root", cwd="/")
    with pytest.raises(HomeNotCollectedError):
        collect_home(sandbox.sandbox_id, endpoint, tmp_path / "home.tar")
