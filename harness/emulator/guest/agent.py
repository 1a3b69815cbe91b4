"""The agent of one sandbox: accepts calls and answers each on a thread of its own.

It is the first process of the sandbox (so it also reaps orphans) and runs with any
Python from 3.9 on, standard library only, with as few imports as can be: every
sandbox pays for them. Started by harness.emulator.isolation with one JSON argument.
"""

from __future__ import annotations

import os
import sys

from .accounts import Account, Accounts
from .door import open_door
from .files import Files
from .frames import Channel, Fault, HangUp
from .freezer import freeze, thaw
from .lean import accept, loads, signal, socket, stack_size, start_thread
from .metrics import Meter
from .places import Places
from .processes import Process, ProcessTable
from .spawn import open_terminal, resize, spawn

TYPE_CHECKING = False  # typing's own costs every start of an agent its import
if TYPE_CHECKING:
    from collections.abc import Callable

    from .frames import Json
    from .internet import Internet

__all__ = ["main"]

_STACK_BYTES = 512 * 1024


class Agent:
    """Knows the sandbox and answers calls; one method for each of PROTOCOL.md.

    Args:
        config: "users" ("many", "one" or "none", see Accounts), "homes" and "moved" (see
            Places), "path" (of commands), "processes" (limit of each user), "boot_id".
    """

    def __init__(self, config: Json) -> None:
        self._config = config
        self._accounts = Accounts(config["users"], config["homes"])
        self._places = Places(config["moved"])
        self._files = Files(self._accounts, self._places)
        self._meter = Meter(everyone=config["users"] != "none")
        self.processes = ProcessTable()
        self._envs: dict[str, str] = dict(config.get("envs") or {})
        self._default_user = "user"
        self._default_workdir: str | None = None
        self._activated: dict[int, int] = {}
        self._internet: Internet | None = None
        self._calls = {
            "ping": self._ping,
            "init": self._init,
            "envs": self._get_envs,
            "metrics": self._metrics,
            "freeze": self._freeze,
            "thaw": self._thaw,
            "process.start": self._start,
            "process.connect": self._connect,
            "process.list": self._list_processes,
            "process.input": self._input,
            "process.close_stdin": self._close_stdin,
            "process.signal": self._signal,
            "process.resize": self._resize,
            "fs.stat": self._stat,
            "fs.list": self._list,
            "fs.mkdir": self._mkdir,
            "fs.move": self._move,
            "fs.remove": self._remove,
            "fs.read": self._read,
            "fs.write": self._write,
            "fs.watch": self._watch,
            "tcp.activate": self._activate,
            "tcp.dial": self._dial,
            "net.open": self._open_internet,
            "net.take": self._take_connection,
            "net.drop": self._drop_connection,
        }

    def start(self) -> None:
        """Begins to reap, and to answer `sudo`."""
        self.processes.start_reaper()
        if self._config["users"] != "none":
            open_door(self._privileges)

    def _privileges(self) -> Callable[[int], None]:
        from .privilege import PrivilegeService  # noqa: PLC0415 - only where somebody asks

        return PrivilegeService(
            self._accounts,
            self.processes,
            path=self._config["path"],
            processes=self._config["processes"],
        ).serve

    def serve(self, listener: socket) -> None:
        """Accepts calls for ever."""
        while True:
            channel = Channel(socket(fileno=accept(listener)))
            start_thread(self._answer, channel)

    def _answer(self, channel: Channel) -> None:
        try:
            self._dispatch(channel)
            # Closing on bytes that nobody has read would take the last frame back.
            channel.wait_for_hang_up()
        except HangUp:
            pass  # the client left; what it began goes on or was undone where it was begun
        finally:
            channel.close()

    def _dispatch(self, channel: Channel) -> None:
        try:
            request = channel.request()
            call = self._calls.get(request.get("op", ""), _unknown_call)
            result = call(channel, request)
            if result is not None:
                channel.finish(result)
        except Fault as fault:
            channel.fail(fault)
        except OSError as error:
            channel.fail(_fault_of(error))
        except (KeyError, TypeError, ValueError) as error:
            sys.excepthook(type(error), error, error.__traceback__)  # into agent.log
            channel.fail(Fault("invalid_argument", f"bad parameters: {error!r}"))

    def _account(self, request: Json) -> Account:
        return self._accounts.find(request.get("user") or self._default_user)

    def _path(self, request: Json, account: Account, key: str = "path") -> str:
        return self._places.absolute(request.get(key) or "", account, self._default_workdir)

    def _ping(self, _channel: Channel, _request: Json) -> Json:
        return {"pid": os.getpid(), "boot_id": self._config["boot_id"]}

    def _init(self, _channel: Channel, request: Json) -> Json:
        self._envs.update(request.get("envs") or {})
        self._default_user = request.get("default_user") or self._default_user
        self._default_workdir = request.get("default_workdir") or self._default_workdir
        return {}

    def _get_envs(self, _channel: Channel, _request: Json) -> Json:
        return {"envs": self._envs}

    def _metrics(self, _channel: Channel, _request: Json) -> Json:
        return self._meter.read(self._accounts.find("user").home)

    @staticmethod
    def _freeze(_channel: Channel, _request: Json) -> Json:
        freeze()
        return {}

    @staticmethod
    def _thaw(_channel: Channel, _request: Json) -> Json:
        thaw()
        return {}

    def _start(self, channel: Channel, request: Json) -> None:
        account = self._account(request)
        cwd = self._path(request, account, "cwd")
        real_cwd = self._places.real(cwd)
        if not os.path.isdir(real_cwd):
            raise Fault("invalid_argument", f"cwd '{cwd}' does not exist")
        argv = [request["cmd"], *request.get("args", ())]
        argv = [self._places.rewrite(argument) for argument in argv]
        process = self._launch(request, argv, real_cwd, account)
        try:
            process.attach(channel)
        finally:
            start_thread(process.pump)
        self._follow(process, channel)

    def _launch(
        self,
        request: Json,
        argv: list[str],
        cwd: str,
        account: Account,
    ) -> Process:
        keys = ("cmd", "args", "envs", "cwd")
        config = {key: request[key] for key in keys if request.get(key) is not None}
        pty = request.get("pty")
        if pty:
            master, slave = open_terminal(pty["cols"], pty["rows"], account)
            theirs, outputs, stdin = (slave, slave, slave), {master: "pty"}, -1
        else:
            master = -1
            out_read, out_write = os.pipe()
            err_read, err_write = os.pipe()
            in_read, stdin = os.pipe() if request.get("stdin") else (_null(), -1)
            theirs = (in_read, out_write, err_write)
            outputs = {out_read: "stdout", err_read: "stderr"}
        process = Process(
            config=config, tag=request.get("tag"), outputs=outputs, stdin=stdin, terminal=master
        )
        try:
            self.processes.add(
                process,
                lambda: spawn(
                    argv,
                    env=self._environment(account, request.get("envs") or {}),
                    cwd=cwd,
                    account=account,
                    stdio=theirs,
                    terminal=bool(pty),
                    processes=self._config["processes"],
                ),
            )
        except BaseException:
            process.abandon()
            raise
        finally:
            for fd in set(theirs):
                os.close(fd)
        return process

    def _environment(self, account: Account, envs: dict[str, str]) -> dict[str, str]:
        env = {**self._own_environment(account), **self._envs, **envs}
        if self._config["users"] == "none":
            env["HARNESS_PATH"] = env["PATH"]  # for the .bash_profile of isolation "process"
        return env

    def _own_environment(self, account: Account) -> dict[str, str]:
        """What holds before the sandbox was given its variables."""
        base = {
            "PATH": self._config["path"],
            "HOME": account.home,
            "USER": account.name,
            "LOGNAME": account.name,
        }
        return {**base, **(self._config.get("envs") or {})}

    def _connect(self, channel: Channel, request: Json) -> None:
        process = self.processes.find(request.get("pid"), request.get("tag"), ended=True)
        process.attach(channel, output=request.get("output", True))
        self._follow(process, channel)

    @staticmethod
    def _follow(process: Process, channel: Channel) -> None:
        channel.wait_for_hang_up()
        process.detach(channel)

    def _process(self, request: Json) -> Process:
        return self.processes.find(request.get("pid"), request.get("tag"))

    def _list_processes(self, _channel: Channel, _request: Json) -> Json:
        listed = []
        for process in self.processes.running():
            entry = {"pid": process.pid, "config": process.config}
            listed.append(entry if process.tag is None else {**entry, "tag": process.tag})
        return {"processes": listed}

    def _input(self, channel: Channel, request: Json) -> Json:
        process = self._process(request)
        for chunk in channel.chunks():
            process.write(chunk, terminal=bool(request.get("pty")))
        return {}

    def _close_stdin(self, _channel: Channel, request: Json) -> Json:
        self._process(request).close_stdin()
        return {}

    def _signal(self, _channel: Channel, request: Json) -> Json:
        self.processes.signal(self._process(request), request["signal"])
        return {}

    def _resize(self, _channel: Channel, request: Json) -> Json:
        process = self._process(request)
        if process.terminal < 0:
            raise Fault("failed_precondition", "the process has no terminal")
        resize(process.terminal, request["cols"], request["rows"])
        return {}

    def _stat(self, _channel: Channel, request: Json) -> Json:
        account = self._account(request)
        return {"entry": self._files.stat(self._path(request, account), account)}

    def _list(self, _channel: Channel, request: Json) -> Json:
        account = self._account(request)
        path = self._path(request, account)
        return {"entries": self._files.list_below(path, request.get("depth") or 1, account)}

    def _mkdir(self, _channel: Channel, request: Json) -> Json:
        account = self._account(request)
        return {"entry": self._files.mkdir(self._path(request, account), account)}

    def _move(self, _channel: Channel, request: Json) -> Json:
        account = self._account(request)
        source, target = (self._path(request, account, key) for key in ("source", "destination"))
        return {"entry": self._files.move(source, target, account)}

    def _remove(self, _channel: Channel, request: Json) -> Json:
        self._files.remove(self._path(request, self._account(request)))
        return {}

    def _read(self, channel: Channel, request: Json) -> Json:
        account = self._account(request)
        path, offset = self._path(request, account), request.get("offset") or 0
        self._files.read(channel, path, account, offset, request.get("length"))
        return {}

    def _write(self, channel: Channel, request: Json) -> Json:
        account = self._account(request)
        path, metadata = self._path(request, account), request.get("metadata") or {}
        entry = self._files.write(channel, path, account, request.get("mode"), metadata)
        return {"entry": entry}

    def _watch(self, channel: Channel, request: Json) -> None:
        from .watch import watch  # noqa: PLC0415 - with ctypes, so only where a client watches

        account = self._account(request)
        path = self._path(request, account)

        def describe(name: str) -> Json | None:
            try:
                return self._files.stat(os.path.normpath(os.path.join(path, name)), account)
            except Fault:
                return None  # gone already

        entry_of = describe if request.get("include_entry") else lambda _name: None
        watch(
            channel,
            self._files.directory(path),
            entry_of,
            recursive=bool(request.get("recursive")),
        )

    def _activate(self, _channel: Channel, request: Json) -> Json:
        from .activation import Activation  # noqa: PLC0415 - only where a template has a service

        account = self._account(request)
        own = {**self._own_environment(account), "SANDBOX_HOME": self._accounts.find("user").home}
        activation = Activation(
            self.processes,
            request["program"],
            env={**own, **(request.get("envs") or {})},
            account=account,
            log=self._places.real(request["log"]),
            limit=self._config["processes"],
        )
        port = activation.listen(request["port"])
        self._activated[request["port"]] = port
        return {"port": port}

    def _open_internet(self, channel: Channel, request: Json) -> None:
        from .internet import Internet  # noqa: PLC0415 - only where there is a stand-in

        if self._config["users"] == "none":
            # The addresses and files would be this machine's own.
            raise Fault("failed_precondition", "a stand-in internet needs namespaces")
        self._internet = Internet()
        self._internet.open(channel, request)

    def _take_connection(self, channel: Channel, request: Json) -> Json:
        return self._opened().take(channel, request)

    def _drop_connection(self, channel: Channel, request: Json) -> Json:
        return self._opened().drop(channel, request)

    def _opened(self) -> Internet:
        if self._internet is None:
            raise Fault("failed_precondition", "the sandbox has no stand-in internet")
        return self._internet

    def _dial(self, channel: Channel, request: Json) -> Json:
        from .dial import dial  # noqa: PLC0415 - with the package socket

        port: int = request["port"]
        dial(channel, self._activated.get(port, port))
        return {}


def main() -> None:
    """Serves until the sandbox ends; the argument is Agent's config, with "fd" to listen on.

    With "plan" in it, this becomes a zygote, and each of its forks serves so.
    """
    config = loads(sys.argv[1])
    plan = config.pop("plan", None)
    if plan is None:
        _serve(config)
        return
    from .zygote import serve  # noqa: PLC0415 - with ctypes, which an agent does not need

    serve(plan, config, _serve)


def _serve(config: Json) -> None:
    # The first process of a namespace gets only signals that it handles; Python handles this one.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.umask(0o022)
    stack_size(_STACK_BYTES)
    listener = socket(fileno=config["fd"])
    os.set_inheritable(config["fd"], False)
    if os.getpid() != 1:
        from .kernel import adopt_orphans  # noqa: PLC0415 - only without a pid namespace

        adopt_orphans()
    os.closerange(3, config["fd"])
    os.closerange(config["fd"] + 1, 64)  # what bubblewrap was handed
    agent = Agent(config)
    agent.start()
    agent.serve(listener)


def _unknown_call(_channel: Channel, request: Json) -> Json:
    raise Fault("unimplemented", f"unknown call: {request.get('op')!r}")


def _null() -> int:
    return os.open(os.devnull, os.O_RDONLY)


def _fault_of(error: OSError) -> Fault:
    where = f" '{error.filename}'" if error.filename else ""
    return Fault("internal", f"{os.strerror(error.errno or 0).lower()}{where}")
