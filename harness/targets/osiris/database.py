"""A MariaDB of the harness's own, for the cases that need one: private, on loopback, short-lived.

It is installed by the system (Debian: `mariadb-server`) and started here with a data
folder, a port, a user and a password of its own. A sandbox has no way to this machine's
loopback; the emulator's stand-in internet answers for the database's name instead, so
that the product meets an ordinary host name, and nothing of it is changed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import httpx

from harness.clock import SystemClock
from harness.errors import BrokenError, NotRunError
from harness.model.side import Endpoint
from harness.targets.processes import ProcessGroup

__all__ = ["DATABASE", "HOST", "USER", "Database", "Databases", "offer"]

HOST = "database.test"
DATABASE = "parity"
USER = "harness"
SEEDS = Path(__file__).parent / "cases" / "mysql.sql"
_LOOPBACK = "127.0.0.1"
_INSTALL_S = 60.0
_START_S = 60.0
_PAUSE_S = 0.05
_GREETING_BYTES = 5
_TOKEN_HEADER = "X-Harness-Token"  # noqa: S105 - the header's name
_SMALL = (
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=8M",
    "--innodb-flush-log-at-trx-commit=0",
    "--skip-log-bin",
    "--max-connections=50",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where a running server is, as this machine sees it.

    Attributes:
        port: on loopback, and the same under its name in a sandbox.
        password: of its one user, made for this run.
    """

    port: int
    password: str

    def variables(self, host: str) -> dict[str, str]:
        """The variables by which a case's connections find it under that name."""
        return {
            "MYSQL_HOST": host,
            "MYSQL_PORT": str(self.port),
            "MYSQL_DATABASE": DATABASE,
            "MYSQL_USER": USER,
            "MYSQL_PASSWORD": self.password,
        }

    def volatile(self, host: str) -> dict[str, str]:
        """What differs from run to run and from side to side, with its token."""
        return {
            host: "<mysql-host>",
            str(self.port): "<mysql-port>",
            self.password: "<mysql-password>",
        }


class Databases:
    """Starts the one server of a process when it is first asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: tuple[ProcessGroup, Path, Database] | None = None

    def get(self) -> Database:
        """The server, ready to be asked.

        Raises:
            NotRunError: if MariaDB is not installed.
            BrokenError: if it does not start.
        """
        with self._lock:
            if self._running is None:
                self._running = _start()
            return self._running[2]

    def close(self) -> None:
        """Ends the server and removes its data; again is fine."""
        with self._lock:
            if self._running is not None:
                process, folder, _ = self._running
                self._running = None
                process.end()
                shutil.rmtree(folder, ignore_errors=True)


def offer(endpoint: Endpoint, database: Database) -> None:
    """Has sandboxes that are created from now on find the database under its name.

    Raises:
        NotRunError: if the far end has no stand-in internet.
    """
    here = f"{_LOOPBACK}:{database.port}"
    hosts = [{"names": [HOST], "ports": {str(database.port): here}}]
    headers = {_TOKEN_HEADER: endpoint.admin_token or ""}
    try:
        with httpx.Client(timeout=_START_S, trust_env=False) as client:
            answer = client.put(
                f"{endpoint.admin_url}/internet", json={"hosts": hosts, "ca": ""}, headers=headers
            )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _out_of_reach(endpoint, type(error).__name__) from error
    if not answer.is_success:
        raise _out_of_reach(endpoint, f"status {answer.status_code}")


def _out_of_reach(endpoint: Endpoint, why: str) -> NotRunError:
    return NotRunError(
        f"a sandbox of {endpoint.name!r} cannot reach a database on this machine ({why})",
        expected="the emulator, whose stand-in internet leads to it",
        next_step="run the case against the emulator",
    )


def _start() -> tuple[ProcessGroup, Path, Database]:
    server, install = (_program(name) for name in ("mariadbd", "mariadb-install-db"))
    folder = Path(tempfile.mkdtemp(prefix="harness-mariadb-"))
    user = [f"--user={os.environ.get('USER', 'root')}"] if os.geteuid() == 0 else []
    try:
        _install(install, folder, user)
        # The product writes it down in the clear. A scanner of this run's files is to find
        # secrets that open something, and takes what ends so for a placeholder.
        database = Database(port=_free_port(), password=f"{secrets.token_hex(4)}-made-here")
        seeds = folder / "seeds.sql"
        seeds.write_text(_seeds(database), encoding="utf-8")
        options = [f"--datadir={folder / 'data'}", f"--socket={folder / 's'}"]
        options += [f"--port={database.port}", f"--bind-address={_LOOPBACK}"]
        options += [f"--init-file={seeds}", f"--pid-file={folder / 'pid'}", *user, *_SMALL]
        process = ProcessGroup([server, "--no-defaults", *options], cwd=folder, env=_environment())
        try:
            _wait_until_ready(process, database.port)
        except BaseException:
            process.end()
            raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return process, folder, database


def _install(install: str, folder: Path, user: list[str]) -> None:
    options = [f"--datadir={folder / 'data'}", "--auth-root-authentication-method=normal"]
    command = [install, "--no-defaults", *options, "--skip-test-db", *user]
    with ProcessGroup(command, cwd=folder, env=_environment()) as process:
        ended = process.wait(_INSTALL_S)
        code = process.end()
        if not ended or code != 0:
            raise _not_started(f"{command[0]} did not finish ({code})", process)


def _wait_until_ready(process: ProcessGroup, port: int) -> None:
    """Returns when the server greets; it does so only after its first file of commands.

    Raises:
        BrokenError: if it ends, or does not greet in time.
    """
    clock, pause = SystemClock(), threading.Event()
    until_s = clock.monotonic_s() + _START_S
    while not _greets(port):
        if process.wait(0) or clock.monotonic_s() > until_s:
            process.end()
            raise _not_started("the server did not get ready", process)
        pause.wait(_PAUSE_S)


def _greets(port: int) -> bool:
    try:
        with socket.create_connection((_LOOPBACK, port), timeout=1) as connection:
            return len(connection.recv(_GREETING_BYTES)) == _GREETING_BYTES
    except OSError:
        return False


def _not_started(what: str, process: ProcessGroup) -> BrokenError:
    lines = [line for line in process.stderr.splitlines() if "ERROR" in line][-3:]
    return BrokenError(
        f"{what}: {' | '.join(lines) or 'it said nothing'}",
        expected="a MariaDB that starts with a data folder of its own",
        next_step="try `mariadbd --no-defaults --help`, then run again",
    )


def _seeds(database: Database) -> str:
    """The tables, and the user; one statement a line, as the server reads such a file."""
    text = SEEDS.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    statements = [" ".join(item.split()) for item in "\n".join(lines).split(";\n")]
    account = f"'{USER}'@'%'"
    created = [
        f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4",
        f"CREATE USER {account} IDENTIFIED BY '{database.password}'",
        f"GRANT ALL ON {DATABASE}.* TO {account}",
        f"USE {DATABASE}",
    ]
    return "".join(f"{item.rstrip(';')};\n" for item in [*created, *statements] if item)


def _program(name: str) -> str:
    path = shutil.which(name, path="/usr/sbin:/usr/local/sbin:" + os.defpath + ":/usr/local/bin")
    if path is None:
        raise NotRunError(
            f"no MariaDB on this machine: {name} is not there",
            expected="Debian's package mariadb-server; it need not run as a service",
            next_step="apt-get install mariadb-server",
        )
    return path


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((_LOOPBACK, 0))
        return int(listener.getsockname()[1])
