"""Templates: built by the real SDK, and sandboxes started from them."""

from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from e2b import (
    BuildException,
    LogEntry,
    Sandbox,
    Template,
    TemplateClass,
    wait_for_file,
    wait_for_port,
)
from e2b.exceptions import TemplateException

from harness.emulator.attach import AdminClient

MakeSandbox = Callable[..., Sandbox]

pytestmark = pytest.mark.usefixtures("e2b_env")


def _name() -> str:
    return f"built-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A folder with files for COPY."""
    (tmp_path / "app" / "deep").mkdir(parents=True)
    (tmp_path / "app" / "main.py").write_text("print('main')\n", encoding="utf-8")
    (tmp_path / "app" / "deep" / "data.txt").write_text("deep\n", encoding="utf-8")
    (tmp_path / "app" / "link").symlink_to("main.py")
    (tmp_path / "lone.txt").write_text("lone\n", encoding="utf-8")
    return tmp_path


def test_template_steps_shape_the_sandboxes_made_from_it(
    make_sandbox: MakeSandbox, context: Path
) -> None:
    """Files, owners, bits, variables, user and folder are those of the steps, in their order."""
    name = _name()
    template = (
        Template(file_context_path=context)
        .from_base_image()
        .set_envs({"GREETING": "hello there", "OTHER": "1"})
        .set_workdir("/srv/project")
        .copy("app", "code")
        .copy("lone.txt", "renamed.txt", mode=0o600)
        .copy("app/*.py", "/opt/py/", user="root")
        .run_cmd('echo "$GREETING" > said.txt')
        .run_cmd("id -un > /root/who.txt", user="root")
    )
    Template.build(template, name)
    sandbox = make_sandbox(name)

    def run(command: str) -> str:
        return sandbox.commands.run(command).stdout.strip()

    assert run("pwd; cat said.txt; echo $OTHER") == "/srv/project\nhello there\n1"
    assert run("cat code/deep/data.txt; readlink code/link") == "deep\nmain.py"
    assert run("stat -c '%a %U' renamed.txt code/main.py") == "600 user\n644 user"
    assert run("stat -c %n /opt/py/main.py") == "/opt/py/main.py"
    assert run("sudo cat /root/who.txt") == "root"
    assert sandbox.files.read("/srv/project/said.txt") == "hello there\n"


def test_template_step_may_put_a_program_on_the_path(make_sandbox: MakeSandbox) -> None:
    """Below /usr/local every user may write, while a template is built and afterwards."""
    name = _name()
    template = (
        Template()
        .from_base_image()
        .run_cmd("printf '#!/bin/sh\\necho mine\\n' > /usr/local/bin/mine")
        .run_cmd("chmod +x /usr/local/bin/mine; echo kept > /code/kept.txt", user="root")
    )
    Template.build(template, name)
    sandbox, other = make_sandbox(name), make_sandbox()
    assert sandbox.commands.run("mine; cat /code/kept.txt").stdout == "mine\nkept\n"
    sandbox.files.write("/usr/local/bin/mine2", "#!/bin/sh\nmine; echo more\n")
    assert sandbox.commands.run("chmod +x /usr/local/bin/mine2; mine2").stdout == "mine\nmore\n"
    assert other.commands.run("ls /code; command -v mine mine2 || echo none").stdout == "none\n"


def test_mcp_is_served_by_a_template_of_ones_own(
    make_sandbox: MakeSandbox, emulator: AdminClient
) -> None:
    """The SDK asks for a template by that name, and starts a program in it."""
    del emulator  # of the live service, nobody makes a template of its own template's name
    program = (
        "#!/bin/sh",
        "mkdir -p /etc/mcp-gateway",
        'printf %s "$GATEWAY_ACCESS_TOKEN" > /etc/mcp-gateway/.token',
        'printf %s "$2" > /tmp/config.json',
    )
    lines = " ".join(shlex.quote(line) for line in program)
    path = "/usr/local/bin/mcp-gateway"
    step = f"printf '%s\\n' {lines} > {path}; chmod +x {path}"
    Template.build(Template().from_base_image().run_cmd(step), "mcp-gateway")
    sandbox = make_sandbox(mcp={"duckduckgo": {}})
    assert uuid.UUID(sandbox.get_mcp_token())
    assert json.loads(sandbox.files.read("/tmp/config.json")) == {"duckduckgo": {}}  # noqa: S108 - inside
    assert sandbox.get_mcp_url().endswith("/mcp")


def test_template_user_is_the_default_of_its_sandboxes(make_sandbox: MakeSandbox) -> None:
    """USER holds for later steps, commands and files, and a request may still name another."""
    name = _name()
    template = Template().from_image("alpine").set_user("root").run_cmd("id -un > /tmp/built-by")
    Template.build(template, name)
    sandbox = make_sandbox(name)
    assert sandbox.commands.run("id -un; cat /tmp/built-by").stdout == "root\nroot\n"
    assert sandbox.commands.run("id -un", user="user").stdout == "user\n"


def test_template_start_command_serves_in_each_sandbox(make_sandbox: MakeSandbox) -> None:
    """What the start command serves answers as soon as a sandbox is there."""
    name = _name()
    template = (
        Template()
        .from_base_image()
        .set_workdir("/home/user/www")
        .run_cmd("echo served > index.html")
        .set_start_cmd("python3 -m http.server 8123", wait_for_port(8123))
    )
    Template.build(template, name)
    for sandbox in (make_sandbox(name), make_sandbox(name)):
        said = sandbox.commands.run("curl -s http://127.0.0.1:8123/index.html")
        assert said.stdout == "served\n"


def test_template_on_a_template_inherits_files_and_start_command(
    make_sandbox: MakeSandbox,
) -> None:
    """A build may start where another ended, variables and start command included."""
    below, above = _name(), _name()
    start = Template().from_base_image().set_envs({"LEVEL": "one"}).run_cmd("echo a > a")
    Template.build(start.set_start_cmd("touch started", wait_for_file("started")), below)
    Template.build(Template().from_template(below).run_cmd('echo "$LEVEL" > b'), above)
    sandbox = make_sandbox(above)
    assert sandbox.commands.run("cat a b; ls started").stdout == "a\none\nstarted\n"


@pytest.mark.parametrize(
    ("command", "user", "words"),
    [
        ("cat nonexistent/path", None, "failed to run command 'cat nonexistent/path'"),
        ("whoami", "root123", "unauthenticated: invalid username: 'root123'"),
    ],
)
def test_failed_step_is_named_with_its_log(command: str, user: str | None, words: str) -> None:
    """The reason has the message and the step, and the log ends with it."""
    said: list[LogEntry] = []
    template = Template().from_base_image().run_cmd("echo fine").run_cmd(command, user=user)
    with pytest.raises(BuildException, match=words):
        Template.build(template, _name(), on_build_logs=said.append)
    messages = [entry.message for entry in said]
    assert any("[stdout]: fine" in message for message in messages)
    assert any(message.startswith("Build failed") for message in messages)


def test_failed_build_makes_no_template(make_sandbox: MakeSandbox) -> None:
    """What never became ready cannot be started, and a later good build mends that."""
    name = _name()
    with pytest.raises(BuildException):
        Template.build(Template().from_base_image().run_cmd("exit 7"), name)
    with pytest.raises(Exception, match="no build that is ready"):
        make_sandbox(name)
    Template.build(Template().from_base_image().run_cmd("exit 0"), name)
    assert make_sandbox(name).is_running()


def test_build_log_is_paged_to_its_end() -> None:
    """Four hundred lines arrive once each, in order, by a hundred at a time."""
    said: list[LogEntry] = []
    template = Template().from_base_image().run_cmd("seq 1 400")
    Template.build(template, _name(), on_build_logs=said.append)
    numbers = [e.message.rpartition(": ")[2] for e in said if "[stdout]: " in e.message]
    assert numbers == [str(number) for number in range(1, 401)]


def test_unchanged_steps_are_taken_from_the_earlier_build() -> None:
    """The same steps are cached, also under another name; what is forced runs again."""

    def cached(template: TemplateClass, *, force: bool = False) -> int:
        said: list[LogEntry] = []
        Template.build(template, _name(), skip_cache=force, on_build_logs=said.append)
        return sum(entry.message.startswith("CACHED") for entry in said)

    mark = uuid.uuid4().hex
    first = Template().from_base_image().run_cmd(f"echo {mark} > mark")
    assert cached(first) == 0
    assert cached(Template().from_base_image().run_cmd(f"echo {mark} > mark")) == 1
    longer = Template().from_base_image().run_cmd(f"echo {mark} > mark").run_cmd("cat mark")
    assert cached(longer) == 1
    assert cached(first, force=True) == 0


def test_tags_name_builds_of_one_template(make_sandbox: MakeSandbox) -> None:
    """Each tag leads to its own build; a tag that is taken away leads nowhere."""
    name = _name()
    for version in ("v1", "v2"):
        step = Template().from_base_image().run_cmd(f"echo {version} > version")
        Template.build(step, f"{name}:{version}")
    Template.assign_tags(f"{name}:v1", ["stable", "old"])
    assert make_sandbox(f"{name}:stable").files.read("version") == "v1\n"
    assert make_sandbox(f"{name}:v2").files.read("version") == "v2\n"
    assert {tag.tag for tag in Template.get_tags(name)} == {"v1", "v2", "stable", "old"}
    Template.remove_tags(name, "stable")
    assert not Template.exists(f"{name}:stable")
    with pytest.raises(Exception, match="tag 'stable' does not exist"):
        make_sandbox(f"{name}:stable")


@pytest.mark.parametrize("tag", [":x", "x:", "a b", ""])
def test_tag_that_cannot_be_one_is_refused(tag: str) -> None:
    """A tag has no colon and no blank."""
    name = _name()
    Template.build(Template().from_base_image(), name)
    with pytest.raises(TemplateException):
        Template.assign_tags(name, tag)


def test_built_in_template_cannot_be_taken_over() -> None:
    """Nobody builds, tags or renames what everyone has."""
    with pytest.raises(Exception, match="don't have access"):
        Template.build(Template().from_base_image(), "base")
    with pytest.raises(TemplateException, match="don't have access"):
        Template.assign_tags("base", "mine")


def test_missing_upload_fails_the_step(context: Path, emulator: AdminClient) -> None:
    """A COPY whose archive never came is an error that says so, not an empty folder."""
    emulator.fault("PUT /_uploads/*", status=500)
    template = Template(file_context_path=context).from_base_image().copy("lone.txt", "x")
    with pytest.raises(Exception, match=r"upload|500"):
        Template.build(template, _name())
