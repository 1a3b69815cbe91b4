"""Reads and extends the files of accepted divergences: one TOML file per product and version.

An allowance is a debt with a reason: what differs (path, kind, values), where it
is expected (pipelines, count), why it is accepted, and until when. A cause says what
is behind a difference of a pipeline that no allowance names, and accepts nothing. Every
problem of a file is reported together. docs/reference/allowances.md describes the format.
"""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from harness.errors import BrokenError, UsageError
from harness.model.difference import Allowance
from harness.parity.delta import Kind
from harness.parity.proposals import toml_text

__all__ = [
    "AllowanceFile",
    "Cause",
    "append_allowance",
    "load_allowances",
    "read_entry",
]

SCHEMA = 1
_TEXTS = ("path", "kind", "reason", "link", "local", "remote")
_REQUIRED = ("path", "reason", "expires")
_KNOWN = frozenset({*_TEXTS, "pipelines", "expires", "count", "per"})
_CAUSE_REQUIRED = ("path", "reason", "link")
_WHEN_FAILED = "failed"
_PER = ("run", "step")
Entry = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What is behind differences of any pipeline; it accepts nothing.

    Attributes:
        about: which differences, why, and where that is written down; without pipelines.
        of_failures: whether it is about pipelines alone that failed in the sandbox.
        beside: the path of a difference that such a pipeline shows, too; None for none.
    """

    about: Allowance
    of_failures: bool
    beside: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowanceFile:
    """A file of allowances.

    Attributes:
        path: where it is; it need not exist yet.
        product: what it is about, such as "osiris-pipeline".
        version: the product's version that it is about.
        allowances: in the order of the file.
        causes: what explains differences of any pipeline, in the order of the file.
        before: the files whose entries go before this one's own.
    """

    path: Path
    product: str
    version: str
    allowances: tuple[Allowance, ...] = ()
    causes: tuple[Cause, ...] = ()
    before: tuple[Path, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that the entries come from."""
        return (*self.before, self.path)

    def followed_by(self, own: AllowanceFile) -> AllowanceFile:
        """This file and another one, under whose path the both of them go."""
        return replace(
            own,
            allowances=(*self.allowances, *own.allowances),
            causes=(*own.causes, *self.causes),
            before=self.paths,
        )


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
    read: dict[str, list[tuple[Entry, Allowance]]] = {"allowance": [], "cause": []}
    for table, check in (("allowance", _entry_problems), ("cause", _cause_problems)):
        lines = _lines_of_entries(text, table)
        entries = document.get(table, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            problems.append(f"`{table}` must be tables: [[{table}]]")
            continue
        for number, entry in enumerate(entries):
            line = lines[number] if number < len(lines) else 0
            found = check(entry)
            problems += [f"line {line}: {problem}" for problem in found]
            if not found:
                read[table].append((entry, _allowance(entry, f"{path.name}:{line}")))
    if problems:
        raise _refused(path, problems)
    return AllowanceFile(
        path=path,
        product=product,
        version=version,
        allowances=tuple(allowance for _, allowance in read["allowance"]),
        causes=tuple(
            Cause(
                about=about,
                of_failures="when" in entry,
                beside=str(entry["beside"]) if "beside" in entry else None,
            )
            for entry, about in read["cause"]
        ),
    )


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
    return replace(loaded, path=path)


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
        if name not in {"schema", "product", "version", "allowance", "cause"}
    ]
    if document.get("schema") != SCHEMA:
        problems.append(f"`schema` is {document.get('schema')!r}, expected {SCHEMA}")
    for name, expected in (("product", product), ("version", version)):
        if document.get(name) != expected:
            problems.append(f"`{name}` is {document.get(name)!r}, expected {expected!r}")
    return problems


def _entry_problems(entry: Mapping[str, object]) -> list[str]:
    problems = _text_problems(entry, _KNOWN, _REQUIRED)
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


def _cause_problems(entry: Mapping[str, object]) -> list[str]:
    """A cause is for any pipeline, and for as long as the product is this version."""
    problems = _text_problems(entry, frozenset({*_TEXTS, "when", "beside"}), _CAUSE_REQUIRED)
    if not isinstance(entry.get("beside", ""), str):
        problems.append(f"`beside` must be text, not {entry['beside']!r}")
    if entry.get("when", _WHEN_FAILED) != _WHEN_FAILED:
        problems.append(f'`when` must be "{_WHEN_FAILED}", not {entry["when"]!r}')
    return problems


def _text_problems(
    entry: Mapping[str, object], known: Collection[str], required: Collection[str]
) -> list[str]:
    problems = [f"unknown key {name!r}" for name in entry if name not in known]
    problems += [f"`{name}` is missing" for name in required if name not in entry]
    problems += [
        f"`{name}` must be text, not {entry[name]!r}"
        for name in _TEXTS
        if name in entry and not isinstance(entry[name], str)
    ]
    problems += [
        f"`{name}` must not be empty"
        for name in ("path", "reason", "kind", *({"link"} & set(required)))
        if isinstance(entry.get(name), str) and not str(entry[name]).strip()
    ]
    kinds = [kind.value for kind in Kind]
    if isinstance(entry.get("kind"), str) and entry["kind"] and entry["kind"] not in kinds:
        problems.append(f"`kind` is {entry['kind']!r}, expected one of {', '.join(kinds)}")
    return problems


def _allowance(entry: Mapping[str, object], source: str) -> Allowance:
    def text(name: str) -> str | None:
        value = entry.get(name)
        return value if isinstance(value, str) else None

    pipelines, expires, count = entry.get("pipelines"), entry.get("expires"), entry.get("count")
    return Allowance(
        path=text("path") or "",
        kind=text("kind"),
        pipelines=tuple(sorted(map(str, pipelines))) if isinstance(pipelines, list) else (),
        reason=text("reason") or "",
        link=text("link") or "",
        expires=expires if isinstance(expires, date) else date.max,
        source=source,
        local=text("local"),
        remote=text("remote"),
        count=count if isinstance(count, int) else None,
        per=text("per"),
    )


def _lines_of_entries(text: str, table: str) -> list[int]:
    return [
        number
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip().replace(" ", "").startswith(f"[[{table}]]")
    ]
