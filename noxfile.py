"""The sessions: one question each. `nox -l` prints the first line of each docstring.

Sessions install and run. Whatever has an `if` about results is a `harness`
command, so that nox, CI and a person get the same words and exit codes; nox
itself turns every failure into exit code 1. Arguments behind `--` go to that
command, and what it does not know goes on to pytest. The workflows take their matrix
from `nox -l --json -t ci`.
"""

import shlex

import nox

nox.needs_version = ">=2026.8.10"
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["lint", "types", "tests", "parity"]
nox.options.error_on_missing_interpreters = True

PYPROJECT = nox.project.load_toml("pyproject.toml")

# nox kills a child 0.3 s after Ctrl-C unless told otherwise; ending sandboxes takes longer.
INTERRUPT_TIMEOUT_S = 20
TERMINATE_TIMEOUT_S = 10
# The live tests run too, with the emulator in the service's place: tests are code as well.
EVERYTHING = ("--live-endpoint=emulator", "-n", "2", "--dist", "worksteal")


def install(session: nox.Session, *groups: str) -> None:
    # Compiled once: where PYTHONDONTWRITEBYTECODE is set, each start would compile it all again.
    packages = nox.project.dependency_groups(PYPROJECT, *groups)
    session.install("-e", ".", *packages, env={"UV_COMPILE_BYTECODE": "1"})
    # What cannot be written, in a checkout that is read-only, is compiled at each start.
    session.run("python", "-m", "compileall", "-q", "harness", success_codes=[0, 1], log=False)


def run_harness(session: nox.Session, *words: str) -> None:
    session.run(
        "harness",
        *words,
        interrupt_timeout=INTERRUPT_TIMEOUT_S,
        terminate_timeout=TERMINATE_TIMEOUT_S,
    )


@nox.session(tags=["offline", "live"])
def smoke(session: nox.Session) -> None:
    """Does the product work in a sandbox? Emulator always; `-- --live` adds the real E2B."""
    install(session, "tests")
    run_harness(session, "smoke", "run", *session.posargs)


@nox.session(name="smoke-mocked", tags=["offline", "ci"])
def smoke_mocked(session: nox.Session) -> None:
    """The smoke tests against the emulator: no key, no network."""
    install(session, "tests")
    run_harness(session, "smoke", "run", "--only", "mocked", *session.posargs)


@nox.session(name="smoke-live", tags=["live"])
def smoke_live(session: nox.Session) -> None:
    """The smoke and live tests against the real E2B; needs E2B_API_KEY and E2B_LIVE_TESTS=1."""
    install(session, "tests")
    run_harness(session, "smoke", "run", "--only", "live", *session.posargs)


@nox.session(tags=["offline", "live", "ci"])
def parity(session: nox.Session) -> None:
    """Does a pipeline do the same here and in a sandbox? `-- --live` compares with the real E2B."""
    install(session, "tests")
    run_harness(session, "parity", "run", *session.posargs)


@nox.session(tags=["offline", "live", "ci"])
def orphans(session: nox.Session) -> None:
    """Is every sandbox ended that was started? `-- --live` looks at the real E2B."""
    install(session, "tests")
    run_harness(session, "orphans", "run", *session.posargs)


@nox.session(name="orphan-trials", default=False, tags=["offline"])
def orphan_trials(session: nox.Session) -> None:
    """Is a sandbox left, in 220 ways and places to end a program? A quarter of an hour."""
    install(session, "tests")
    trials = shlex.join(["python", "benchmarks/orphan_trials.py", *session.posargs])
    run_harness(session, "suite", "steps", "--session", "orphan-trials", trials)


@nox.session(name="secret-scan", tags=["offline", "live", "ci"])
def secret_scan(session: nox.Session) -> None:
    """Is a secret in the repository, in a log, in a report? `-- --live` looks for the real ones."""
    install(session)
    run_harness(session, "secrets", "scan", "--product", *session.posargs)


@nox.session(tags=["report"])
def report(session: nox.Session) -> None:
    """Merges what the sessions found into one junit.xml and one summary.md."""
    install(session)
    run_harness(session, "report", "build", *session.posargs)


@nox.session(default=False, tags=["offline"])
def conformance(session: nox.Session) -> None:
    """E2B's own public suite against the emulator: `-- <checkout of e2b-dev/E2B> --sdk newest`."""
    install(session)
    run_harness(session, "conformance", "run", *session.posargs)


@nox.session(name="conformance-javascript", default=False, tags=["offline"])
def conformance_javascript(session: nox.Session) -> None:
    """The suite of E2B's JavaScript SDK against the emulator: `-- <checkout of e2b-dev/E2B>`."""
    install(session)
    run_harness(session, "conformance", "javascript", *session.posargs)


@nox.session(default=False, tags=["offline"])
def versions(session: nox.Session) -> None:
    """One contract over many versions of E2B's SDKs: `-- --only python-2.45.1 --only js-newest`."""
    install(session)
    run_harness(session, "versions", "run", *session.posargs)


@nox.session(tags=["offline", "check", "ci"])
def tests(session: nox.Session) -> None:
    """The project's own tests: unit, contract, smoke, parity and orphans on the emulator."""
    install(session, "tests")
    run_harness(session, "suite", "pytest", "--session", "tests", *EVERYTHING, *session.posargs)


@nox.session(tags=["offline", "check", "ci"])
def lint(session: nox.Session) -> None:
    """Style, formatting, import layers, and the safety of the workflows."""
    install(session, "lint")
    run_harness(
        session,
        *("suite", "steps", "--session", "lint"),
        "ruff check .",
        "ruff format --check .",
        "lint-imports",
        "zizmor --offline .github/workflows",
    )


@nox.session(tags=["offline", "check", "ci"])
def types(session: nox.Session) -> None:
    """Static types, strict."""
    install(session, "types")
    run_harness(session, "suite", "steps", "--session", "types", "mypy")


@nox.session(name="harness", default=False, tags=["tool"])
def any_command(session: nox.Session) -> None:
    """Any harness command: `nox -s harness -- doctor`, `nox -s harness -- orphans sweep`."""
    install(session)
    run_harness(session, *session.posargs)
