"""The program under test: its words, its folder, and what it is given on both sides."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import UsageError
from harness.model.run import PipelineCase

__all__ = ["CommandProgram", "requirements_of", "variables_of"]

MAX_DEADLINE_S = 24 * 3600.0
ALLOWANCES_SUFFIX = ".allowances.toml"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandProgram:
    """A program in a folder.

    Attributes:
        words: the program and its arguments.
        folder: what it runs in; it is copied for each run, and never written to.
        path: the search path of the local side, as in `PATH`.
        env: further environment variables of both sides.
        deadline_s: how long one run may take.
        template: E2B's template of the sandbox; the service's own default where it is None.
        packages: what the sandbox offers beside Python, in pip's form: the emulator's
            template has them; in a sandbox of the real service they are installed first.
        compare_env: whether the environment that the program sees is compared, too.
    """

    words: tuple[str, ...]
    folder: Path
    path: str
    env: Mapping[str, str] = field(default_factory=dict)
    deadline_s: float = 120.0
    template: str | None = None
    packages: tuple[str, ...] = ()
    compare_env: bool = False

    def __post_init__(self) -> None:
        """Refuses what cannot be run.

        Raises:
            UsageError: if there is no such folder or program, or the deadline is none.
        """
        if not self.folder.is_dir():
            what = "no folder" if self.folder.exists() else "no such folder"
            raise UsageError(
                f"--files {self.folder}: {what}",
                expected="the folder with everything that the program needs",
                next_step="correct --files",
            )
        if not 0 < self.deadline_s <= MAX_DEADLINE_S:
            raise UsageError(
                f"--deadline {self.deadline_s:g}: no deadline",
                expected=f"seconds above 0, at most {MAX_DEADLINE_S:g}",
                next_step="correct --deadline",
            )
        self._check_program()

    @property
    def name(self) -> str:
        """The case's name: the folder's own, as far as it fits a file name."""
        slug = re.sub(r"[^a-z0-9_-]+", "-", self.folder.resolve().name.lower()).strip("-_")
        return slug[:63] or "job"

    @property
    def case(self) -> PipelineCase:
        """The program as a case of parity."""
        return PipelineCase(
            name=self.name,
            purpose=f"`{shlex.join(self.words)}` in {self.folder}",
            oml=shlex.join(self.words),
            env=dict(self.env),
            expect_success=None,
            deadline_s=self.deadline_s,
        )

    @property
    def allowances_file(self) -> Path:
        """Beside the folder: `job/` has `job.allowances.toml`."""
        folder = self.folder.resolve()
        return folder.with_name(folder.name + ALLOWANCES_SUFFIX)

    def _check_program(self) -> None:
        if not self.words or not self.words[0]:
            raise UsageError(
                "no program to run",
                expected="its words behind --",
                next_step=f"harness parity run --files {self.folder} -- python job.py",
            )
        word = self.words[0]
        search = self.env.get("PATH", self.path)
        if "/" in word:
            found = shutil.which(str(self.folder.resolve() / word))
            where = f"an executable file, relative to {self.folder}"
        else:
            found = shutil.which(word, path=search)
            where = f"a program on the search path ({search})"
        if found is None:
            raise UsageError(
                f"no program {word!r}",
                expected=where,
                next_step="correct the words behind --; a file of the folder is `./name`, "
                "and executable",
            )


def variables_of(settings: Sequence[str], around: Mapping[str, str]) -> dict[str, str]:
    """The variables that `NAME=VALUE` words say; the last one of a name holds.

    Args:
        settings: the words; `NAME` alone takes the value that it has around here, so that
            a secret need not stand in a command.
        around: the environment of the person who asks.

    Raises:
        UsageError: if one of them is no such word, or has no value; every one is named.
    """
    found: dict[str, str] = {}
    bad = []
    for word in settings:
        name, equals, value = word.partition("=")
        if not equals:
            value = around.get(name, "")
        if _VARIABLE.fullmatch(name) and "\0" not in value and (equals or name in around):
            found[name] = value
        else:
            bad.append(f"--env {name!r}")  # its value may be a secret
    if bad:
        raise UsageError(
            f"{', '.join(bad)}: no variable",
            expected="NAME=VALUE, or the NAME of a variable that is set here",
            next_step="correct --env",
        )
    return found


def requirements_of(path: Path | None) -> tuple[str, ...]:
    """The packages that a requirements file asks for, in pip's form; none without a file.

    Raises:
        UsageError: if it cannot be read, or holds options of pip, which are not followed.
    """
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--requirements {path}: {error}",
            expected="a file of packages, one a line",
            next_step="correct --requirements",
        ) from error
    wanted = [re.sub(r"(^|\s)#.*", "", line).strip() for line in lines]
    options = [line for line in wanted if line.startswith("-")]
    if options:
        raise UsageError(
            f"--requirements {path}: {', '.join(options)}",
            expected="packages only: an option of pip means something else in a sandbox",
            next_step="write the packages into a file of their own, such as with `pip freeze`",
        )
    return tuple(line for line in wanted if line)
