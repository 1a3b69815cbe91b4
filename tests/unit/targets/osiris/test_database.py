"""The private MariaDB: there when a case needs it, gone afterwards, and said where it is not."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from harness.errors import NotRunError
from harness.model.run import PipelineCase
from harness.model.side import Endpoint
from harness.settings import Settings
from harness.targets.osiris import database
from harness.targets.osiris.database import Database, Databases, offer
from harness.targets.osiris.services import Services

PLAIN = PipelineCase(name="plain", purpose="p", oml="")
NEEDY = PipelineCase(name="needy", purpose="p", oml="", needs=("mysql",))
installed = pytest.mark.skipif(
    shutil.which("mariadbd", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None,
    reason="no MariaDB on this machine: apt-get install mariadb-server",
)


@installed
def test_databases_start_one_server_and_end_it() -> None:
    """Two cases get the same one; nothing listens, and nothing lies about, afterwards."""
    databases = Databases()
    try:
        first = databases.get()
        assert databases.get() is first
        with socket.create_connection(("127.0.0.1", first.port), timeout=5) as connection:
            assert b"MariaDB" in connection.recv(100)
    finally:
        databases.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", first.port), timeout=5)


@installed
def test_services_give_a_case_what_it_needs_and_no_other() -> None:
    """Each side finds the same database under its own name of the host."""
    services = Services()
    try:
        assert services.give(PLAIN, None) == {}
        given = services.give(NEEDY, None)
        assert given["MYSQL_HOST"] == "127.0.0.1"
        settings = Settings(root=Path("/nowhere"))
        assert set(services.variables(NEEDY, settings, None)) == set(given)
        tokens = set(services.volatile(NEEDY, None).values())
        assert tokens == {"<mysql-host>", "<mysql-port>", "<mysql-password>"}
    finally:
        services.close()


def test_databases_without_mariadb_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(NotRunError) as caught:
        Databases().get()
    assert caught.value.next_step == "apt-get install mariadb-server"


def test_offer_to_a_far_end_without_a_way_is_not_run() -> None:
    """A live sandbox cannot reach this machine, and nobody pretends that it does."""
    there = Database(port=1, password="p")
    with pytest.raises(NotRunError, match="live"):
        offer(Endpoint(name="live", env={}), there)


def test_seeds_are_one_statement_a_line() -> None:
    """The server reads its first file so; a statement that spans lines would be cut."""
    lines = database._seeds(Database(port=1, password="p")).splitlines()
    assert all(line.endswith(";") for line in lines)
    assert sum(line.startswith("INSERT") for line in lines) > 0
