"""Names of languages, and the code that the server itself runs in them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.emulator.interpreter.inside.indentation import indent_of, indented
from harness.emulator.interpreter.inside.languages import (
    UnknownLanguageError,
    find_language,
    plain_name,
)


@pytest.mark.parametrize(
    ("given", "name"),
    [(None, "python"), ("", "python"), (" JS ", "javascript"), ("ts", "typescript"), ("R", "r")],
)
def test_language_has_one_plain_name(given: str | None, name: str) -> None:
    """Short names, case and blanks make no difference."""
    assert plain_name(given) == name


@pytest.mark.parametrize(("name", "kernel"), [("typescript", "javascript"), ("r", "r")])
def test_language_without_kernel_is_named_by_its_kernel(name: str, kernel: str) -> None:
    """The refusal names the kernel that is missing."""
    assert f"The '{kernel}' kernel is not available" in str(UnknownLanguageError(name))


def test_language_that_nobody_speaks_is_refused() -> None:
    """A name without a kernel is an error, not the default language."""
    with pytest.raises(UnknownLanguageError, match="'cobol' kernel"):
        find_language("cobol")


def test_python_variable_is_set_and_removed() -> None:
    """The code of both runs in the language that it is for."""
    python = find_language("python")
    code = f"{python.set_env('A', 'b c')}\nprint(os.environ['A'])\n{python.unset_env('A')}\n"
    code += "print('A' in os.environ)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split("\n")[:2] == ["b c", "False"]


def test_bash_variable_is_set_and_removed() -> None:
    """The code of both runs in the language that it is for."""
    bash = find_language("bash")
    code = f'{bash.set_env("A", "b c")}\necho "$A"\n{bash.unset_env("A")}\necho "${{A-unset}}"'
    said = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == ["b c", "unset"]


@pytest.mark.parametrize(
    ("code", "indent"),
    [("x", ""), ("\n\n    x\n  y", "    "), ("\tx", "\t"), ("", ""), (" \n\n", "")],
)
def test_indent_is_that_of_the_first_line_with_something_in_it(code: str, indent: str) -> None:
    """Lines that are put before indented code need its indentation."""
    assert indent_of(code) == indent


def test_empty_lines_stay_empty_when_indented() -> None:
    """No blanks are left at the end of a line."""
    assert indented("a\n\nb", "  ") == "  a\n\n  b"
