"""The program `sudo` of a sandbox: asks the agent to run a command as another user.

Set-user-id programs do nothing in a sandbox (bubblewrap forbids new privileges), so the
real sudo cannot work there. As in E2B nobody is asked for a password.

Differs: the command has no controlling terminal of its own; it still reads and writes it.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import signal
import socket
import struct
import sys

from .door import SOCKET

TYPE_CHECKING = False  # typing's own costs every start its import
if TYPE_CHECKING:
    from .frames import Json

__all__ = ["main"]

_LENGTH = struct.Struct(">I")
_WITH_VALUE = "CDghpRrTtUu"
_LONG_WITH_VALUE = {
    "chdir": "D",
    "chroot": "R",
    "close-from": "C",
    "command-timeout": "T",
    "group": "g",
    "host": "h",
    "other-user": "U",
    "prompt": "p",
    "user": "u",
}
_LONG = {
    "background": "b",
    "help": "?",
    "list": "l",
    "login": "i",
    "non-interactive": "n",
    "preserve-env": "E",
    "remove-timestamp": "K",
    "reset-timestamp": "k",
    "set-home": "H",
    "shell": "s",
    "stdin": "S",
    "validate": "v",
    "version": "V",
}
_FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


class Usage(Exception):  # noqa: N818 - the caller's words, not a fault
    """What is wrong with the command line."""


def parse(words: list[str]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Sudo's command line: options by letter, variables, and the command.

    Raises:
        Usage: an option is unknown or lacks its value.
    """
    options: dict[str, str] = {}
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            _long_option(word[2:], rest, options)
            continue
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _WITH_VALUE:
                options[letter] = letters or _value(rest, f"-{letter}")
                break
            if letter not in _LONG.values() and letter not in "ABEeN":
                raise Usage(f"invalid option -- '{letter}'")
            options[letter] = ""
    variables: dict[str, str] = {}
    while rest and "=" in rest[0] and not rest[0].startswith("="):
        name, _, value = rest.pop(0).partition("=")
        variables[name] = value
    return options, variables, rest


def main() -> None:
    """Runs the command line of this process, and exits as the command does."""
    try:
        options, variables, command = parse(sys.argv[1:])
    except Usage as problem:
        _fail(str(problem))
    if "V" in options:
        sys.stdout.write("Sudo version 1.9 (sandbox)\n")
        sys.exit(0)
    if not command and not {"i", "s"} & set(options):
        if {"v", "k", "K", "l"} & set(options):
            sys.exit(0)
        _fail("usage: sudo [-EHinS] [-u user] [VAR=value] command [argument ...]")
    environ = _environment()
    request = {
        "argv": command,
        "user": options.get("u", "root"),
        "cwd": options.get("D") or os.getcwd(),
        "shell": "i" if "i" in options else "s" if "s" in options else "",
        "keep": sorted(environ) if "E" in options else [],
        "envs": {**environ, **variables},
        "set": sorted(variables),
    }
    if not os.path.exists(SOCKET):
        # Isolation "process": there is no other user to become.
        argv = command or [os.environ.get("SHELL", "/bin/sh")]
        os.execvpe(argv[0], argv, {**environ, **variables})  # noqa: S606 - no shell is wanted
    sys.exit(_ask(request))


def _ask(request: Json) -> int:
    with socket.socket(socket.AF_UNIX) as agent:
        agent.connect(SOCKET)
        payload = json.dumps(request).encode()
        fds = array.array("i", [0, 1, 2])
        agent.sendmsg(
            [_LENGTH.pack(len(payload))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds.tobytes())]
        )
        agent.sendall(payload)
        for number in _FORWARDED:
            signal.signal(number, lambda number, _frame: agent.sendall(bytes([number])))
        said = b""
        while True:
            piece = agent.recv(4096)
            if not piece:
                break
            said += piece
    answer: Json = json.loads(said) if said else {"error": "the sandbox's agent went away"}
    if "error" in answer:
        _fail(answer["error"])
    if answer["signal"]:
        # Die as the command did, so that the shell says what it would have said.
        with contextlib.suppress(OSError):  # SIGKILL has no handler to reset
            signal.signal(answer["signal"], signal.SIG_DFL)
        os.kill(os.getpid(), answer["signal"])
    return int(answer["code"])


def _environment() -> dict[str, str]:
    """What this process was given; os.environ holds a locale that Python itself added."""
    with open("/proc/self/environ", "rb") as file:
        pairs = file.read().split(b"\0")
    texts = [os.fsdecode(pair).partition("=") for pair in pairs if b"=" in pair]
    return {name: value for name, _, value in texts}


def _long_option(word: str, rest: list[str], options: dict[str, str]) -> None:
    name, has_value, value = word.partition("=")
    if name in _LONG_WITH_VALUE:
        options[_LONG_WITH_VALUE[name]] = value if has_value else _value(rest, f"--{name}")
    elif name in _LONG:
        options[_LONG[name]] = value
    else:
        raise Usage(f"unrecognized option '--{name}'")


def _value(rest: list[str], option: str) -> str:
    if not rest:
        raise Usage(f"option requires an argument -- '{option}'")
    return rest.pop(0)


def _fail(message: str) -> None:
    sys.stderr.write(f"sudo: {message}\n")
    sys.exit(1)
