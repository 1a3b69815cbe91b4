"""Reads and extends the files of accepted divergences: one TOML file per product and version.

An allowance is a debt with a reason: what differs (path, kind, values), where it
is expected (pipelines, count), why it is accepted, and until when. Every problem
of a file is reported together. docs/reference/allowances.md describes the format.
"""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from harness.errors import BrokenError, UsageError
from harness.model.difference import Allowance
from harness.parity.delta import Kind
from harness.parity.proposals import toml_text

__all__ = [
    "AllowanceFile",
    "append_allowance",
    "load_allowances",
    "read_entry",
]

SCHEMA = 1
_TEXTS = ("path", "kind", "reason", "link", "local", "remote")
_REQUIRED = ("path", "reason", "expires")
_KNOWN = frozenset({*_TEXTS, "pipelines", "expires", "count", "per"})
_PER = ("run", "step")


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowanceFile:
    """A file of allowances.

    Attributes:
        path: where it is; it need not exist yet.
        product: what it is about, such as "osiris-pipeline".
        version: the product's version that it is about.
        allowances: in the order of the file.
    """

    path: Path
    product: str
    version: str
    allowances: tuple[Allowance, ...] = ()


def load_allowances(path: Path, *, product: str, version: str) -> AllowanceFile:
    """Reads a file of allowances; one that does not exist holds none.

    Args:
        path: the file.
        product: the product under test; a file about another one is refused.
        version: its version; the same.

    Raises:
        UsageError: if the file is not what docs/reference/allowances.md describes; the
            message names every problem.
        BrokenError: if it cannot be read.
    """
    text = _read(path)
    if text is None:
        return AllowanceFile(path=path, product=product, version=version)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refused(path, [f"not TOML: {error}"]) from error
    problems = _head_problems(document, product, version)
    lines = _lines_of_entries(text)
    allowances: list[Allowance] = []
    entries = document.get("allowance", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        problems.append("`allowance` must be tables: [[allowance]]")
        entries = []
    for number, entry in enumerate(entries):
        line = lines[number] if number < len(lines) else 0
        found = _entry_problems(entry)
        problems += [f"line {line}: {problem}" for problem in found]
        if not found:
            allowances.append(_allowance(entry, f"{path.name}:{line}"))
    if problems:
        raise _refused(path, problems)
    return AllowanceFile(path=path, product=product, version=version, allowances=tuple(allowances))


def read_entry(text: str) -> Allowance:
    """The allowance that one entry says.

    Raises:
        UsageError: if it is not one entry, or not a valid one.
    """
    place = Path("the entry")
    try:
        entries = tomllib.loads(text).get("allowance", [])
    except tomllib.TOMLDecodeError as error:
        raise _refused(place, [f"not TOML: {error}"]) from error
    problems = _entry_problems(entries[0]) if len(entries) == 1 else ["not one entry"]
    if problems:
        raise _refused(place, problems)
    return _allowance(entries[0], text.splitlines()[0].strip("# "))


def append_allowance(path: Path, entry: str, *, product: str, version: str) -> AllowanceFile:
    """Appends an entry to the file, which is made where there is none, and reads it back.

    The file is replaced only when the result can be read: never half-written.

    Raises:
        UsageError: if the entry or the file that is there is not a valid one.
        BrokenError: if the file cannot be written.
    """
    before = _read(path)
    if before is None:
        before = (
            f"schema = {SCHEMA}\nproduct = {toml_text(product)}\nversion = {toml_text(version)}\n"
        )
    text = f"{before.rstrip()}\n\n{entry}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            temporary.chmod(0o644)
            loaded = load_allowances(temporary, product=product, version=version)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise BrokenError(
            f"cannot write {path}: {error.strerror}",
            expected="a folder that can be written to and has space left",
            next_step="make room or correct the permissions; the file is as it was",
        ) from error
    return AllowanceFile(path=path, product=product, version=version, allowances=loaded.allowances)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise _refused(path, [f"not UTF-8: {error.reason} at byte {error.start}"]) from error
    except OSError as error:
        raise BrokenError(
            f"cannot read {path}: {error.strerror}",
            expected="a file of allowances, or none",
            next_step="correct the path or its permissions",
        ) from error


def _refused(path: Path, problems: list[str]) -> UsageError:
    return UsageError(
        f"{path} is not a file of allowances: " + "; ".join(problems),
        expected="the format of docs/reference/allowances.md",
        next_step="correct these places, then run again",
    )


def _head_problems(document: Mapping[str, object], product: str, version: str) -> list[str]:
    problems = [
        f"unknown key {name!r}"
        for name in document
        if name not in {"schema", "product", "version", "allowance"}
    ]
    if document.get("schema") != SCHEMA:
        problems.append(f"`schema` is {document.get('schema')!r}, expected {SCHEMA}")
    for name, expected in (("product", product), ("version", version)):
        if document.get(name) != expected:
            problems.append(f"`{name}` is {document.get(name)!r}, expected {expected!r}")
    return problems


def _entry_problems(entry: Mapping[str, object]) -> list[str]:
    problems = [f"unknown key {name!r}" for name in entry if name not in _KNOWN]
    problems += [f"`{name}` is missing" for name in _REQUIRED if name not in entry]
    problems += [
        f"`{name}` must be text, not {entry[name]!r}"
        for name in _TEXTS
        if name in entry and not isinstance(entry[name], str)
    ]
    problems += [
        f"`{name}` must not be empty"
        for name in ("path", "reason", "kind")
        if isinstance(entry.get(name), str) and not str(entry[name]).strip()
    ]
    kinds = [kind.value for kind in Kind]
    if isinstance(entry.get("kind"), str) and entry["kind"] and entry["kind"] not in kinds:
        problems.append(f"`kind` is {entry['kind']!r}, expected one of {', '.join(kinds)}")
    pipelines = entry.get("pipelines", [])
    if not isinstance(pipelines, list) or not all(isinstance(name, str) for name in pipelines):
        problems.append(f"`pipelines` must be a list of names, not {pipelines!r}")
    elif len(set(pipelines)) != len(pipelines):
        problems.append("`pipelines` names a pipeline twice")
    if "expires" in entry and type(entry["expires"]) is not date:
        problems.append(f"`expires` must be a date like 2027-06-30, not {entry['expires']!r}")
    count = entry.get("count")
    if count is not None and (type(count) is not int or count < 1):
        problems.append(f"`count` must be a whole number above zero, not {count!r}")
    if "per" in entry and entry["per"] not in _PER:
        problems.append(f'`per` must be "run" or "step", not {entry["per"]!r}')
    return problems


def _allowance(entry: Mapping[str, object], source: str) -> Allowance:
    def text(name: str) -> str | None:
        value = entry.get(name)
        return value if isinstance(value, str) else None

    pipelines, expires, count = entry.get("pipelines"), entry["expires"], entry.get("count")
    return Allowance(
        path=text("path") or "",
        kind=text("kind"),
        pipelines=tuple(sorted(map(str, pipelines))) if isinstance(pipelines, list) else (),
        reason=text("reason") or "",
        link=text("link") or "",
        expires=expires if isinstance(expires, date) else date.min,
        source=source,
        local=text("local"),
        remote=text("remote"),
        count=count if isinstance(count, int) else None,
        per=text("per"),
    )


def _lines_of_entries(text: str) -> list[int]:
    return [
        number
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip().replace(" ", "").startswith("[[allowance]]")
    ]
