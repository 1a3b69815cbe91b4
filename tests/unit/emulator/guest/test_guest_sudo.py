"""The sandbox's sudo."""

from __future__ import annotations

import pytest
from guest_lab import Guest, eventually

from harness.emulator.guest.sudo import Usage, parse


def test_user_becomes_root_without_a_password(guest: Guest) -> None:
    """As E2B allows it; the command sees sudo's variables, not the caller's."""
    ended = guest.run("export SECRET=x; sudo -n sh -c 'id -u; echo $SUDO_USER-$SECRET-$HOME'")
    assert ended.text.splitlines() == ["0", "user--/root"] or not guest.lab.many_users
    assert ended.text.startswith("0\n")


def test_sudo_changes_what_only_root_may(guest: Guest) -> None:
    """A file that the user may not touch can be changed with sudo."""
    if guest.lab.many_users:
        assert guest.run("echo x > /etc/mine").exit_code != 0
    assert guest.run("echo x | sudo tee /etc/mine > /dev/null; cat /etc/mine").text == "x"


def test_sudo_passes_codes_signals_streams_and_directory(guest: Guest) -> None:
    """What the command reads, writes and returns is what the caller's would."""
    assert guest.run("sudo sh -c 'exit 7'").exit_code == 7
    assert guest.run("cd /var; echo in | sudo sh -c 'cat; pwd; echo e >&2'").text == "in\n/var"
    assert guest.run("sudo -u user id -un").text == "user"
    assert guest.run("A=1 sudo -E B=2 sh -c 'echo $A$B'").text == "12"
    assert guest.run("sudo sh -c 'kill -TERM $$'; echo $?").text.endswith("143")


def test_killed_sudo_takes_its_command_along(guest: Guest) -> None:
    """No root process survives the sudo that started it."""
    sudo = guest.spawn("exec sudo sleep 333")
    eventually(lambda: guest.run("pgrep -fc '^sleep 333'").text == "1")
    guest.run(f"kill -9 {sudo}", user="root")
    eventually(lambda: guest.run("pgrep -fc '^sleep 333'").text == "0")


def test_sudo_of_an_unknown_user_or_option_fails(guest: Guest) -> None:
    """The message goes to standard error, and the code is 1."""
    ended = guest.run("sudo -u mallory true")
    assert (ended.exit_code, b"mallory" in ended.stderr) == (1, True)
    assert guest.run("sudo --no-such true").exit_code == 1


def test_command_line_is_read_as_sudo_reads_it() -> None:
    """Grouped letters, attached and separate values, long options, variables, the double dash."""
    assert parse(["-nEu", "joe", "A=b", "ls", "-l"]) == (
        {"n": "", "E": "", "u": "joe"},
        {"A": "b"},
        ["ls", "-l"],
    )
    assert parse(["-ujoe", "--", "-x"]) == ({"u": "joe"}, {}, ["-x"])
    assert parse(["--user=joe", "--preserve-env=A,B", "x"])[0] == {"u": "joe", "E": "A,B"}
    for words in (["-u"], ["--user"], ["-Y", "x"], ["--what"]):
        with pytest.raises(Usage):
            parse(words)
