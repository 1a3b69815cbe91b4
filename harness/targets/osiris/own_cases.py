"""Cases of a user's own, from outside of the library: case files, and pipelines as they are.

A pipeline of an Osiris project need not be rewritten to be compared: its file is enough.
The files of the project that its steps name go along, as does `osiris_connections.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath

import yaml

from harness.errors import UsageError
from harness.model.run import PipelineCase
from harness.targets.osiris.case_library import load_case

__all__ = ["load_own_cases", "own_allowances_file"]

MAX_FILES_BYTES = 256 << 20
ALLOWANCES_SUFFIX = ".allowances.toml"
_CONNECTIONS = "osiris_connections.yaml"
_PROJECT = "osiris.yaml"
_SUFFIXES = frozenset({".yaml", ".yml"})
_QUOTED = re.compile(r"'((?:[^']|'')+)'")
_WRITER = "filesystem.csv_writer"


def load_own_cases(path: Path, *, known: Collection[str] = ()) -> tuple[PipelineCase, ...]:
    """The cases of a folder (not of its subfolders), sorted by name; or the one of a file.

    A file is a case, as docs/reference/cases.md describes it, or a pipeline in Osiris's own
    language, which then promises to succeed and to write what its writers name.

    Args:
        path: the folder or the file.
        known: the names of the library, which mean something else.

    Raises:
        UsageError: if there is none, one is neither a case nor a pipeline, or two have one
            name; every problem is named.
    """
    files = _files_of(path)
    cases: dict[str, PipelineCase] = {}
    problems: list[str] = []
    for file in files:
        try:
            case = _pipeline(file) or load_case(file)
        except UsageError as error:
            problems.append(error.happened)
            continue
        if case.name in known:
            problems.append(f"{file}: the library has a case {case.name!r} already")
        if case.name in cases:
            problems.append(f"{file}: another file makes a case {case.name!r}")
        cases[case.name] = case
    if not files:
        problems.append(f"--cases {path}: no case" if path.exists() else f"--cases {path}: no file")
    if problems:
        raise UsageError(
            "; ".join(problems),
            expected="a folder of YAML files, or one: cases (docs/reference/cases.md) or pipelines",
            next_step="correct the files or the path",
        )
    return tuple(cases[name] for name in sorted(cases))


def own_allowances_file(path: Path) -> Path:
    """Where their accepted divergences stand: beside them, `<name>.allowances.toml`."""
    path = path.resolve()
    return path.with_name((path.name if path.is_dir() else path.stem) + ALLOWANCES_SUFFIX)


def _files_of(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    inside = path.iterdir() if path.is_dir() else ()
    return sorted(
        file
        for file in inside
        if file.suffix in _SUFFIXES and file.is_file() and file.name not in {_CONNECTIONS, _PROJECT}
    )


def _pipeline(path: Path) -> PipelineCase | None:
    """The file as a pipeline; None where it is none, and so a case or nothing."""
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None  # `load_case` says what is wrong
    if not isinstance(document, dict) or "oml_version" not in document:
        return None
    configs = list(_configs(document))
    return PipelineCase(
        name=re.sub(r"[^a-z0-9_-]+", "-", path.stem.lower()).strip("-_")[:63] or "pipeline",
        purpose=f"The pipeline {path}, as it is.",
        oml=text,
        files=_files(_project_of(path), [config for _, config in configs]),
        outputs=tuple(dict.fromkeys(_promised(configs))),
    )


def _configs(document: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Component and configuration of each step that has one."""
    steps = document.get("steps")
    for step in steps if isinstance(steps, list) else ():
        config = step.get("config") if isinstance(step, dict) else None
        if isinstance(config, dict):
            yield str(step.get("component")), config


def _promised(configs: list[tuple[str, Mapping[str, object]]]) -> Iterator[str]:
    for component, config in configs:
        path = config.get("path")
        if component == _WRITER and isinstance(path, str) and _is_inside(path):
            yield str(PurePosixPath(path))


def _project_of(path: Path) -> Path:
    """The Osiris project that the pipeline belongs to; its own folder where there is none."""
    folder = path.resolve().parent
    return next((at for at in (folder, *folder.parents) if (at / _PROJECT).is_file()), folder)


def _files(project: Path, configs: list[Mapping[str, object]]) -> dict[str, bytes]:
    """The files that the configurations name, by themselves or quoted in a query.

    Raises:
        UsageError: if they are too many to be copied for each run.
    """
    texts = [value for config in configs for value in config.values() if isinstance(value, str)]
    named = {name for text in texts for name in (text, *_QUOTED.findall(text))}
    found = {
        str(PurePosixPath(name)): project / name
        for name in sorted({*named, _CONNECTIONS})
        if _is_inside(name) and _is_file(project / name)
    }
    size_bytes = sum(path.stat().st_size for path in found.values())
    if size_bytes > MAX_FILES_BYTES:
        raise UsageError(
            f"the files of {project} that the pipeline names have {size_bytes} bytes",
            expected=f"at most {MAX_FILES_BYTES}, for each run has a copy of them",
            next_step="name smaller files, or write a case with files of its own",
        )
    return {name: path.read_bytes() for name, path in found.items()}


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _is_file(path: Path) -> bool:
    """Whether it is one; a query is no name of any file, and may be too long to be asked for."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
