"""The library of cases: one small YAML file each, read strictly.

A file holds the fields of `PipelineCase`; docs/reference/cases.md describes them.
Every problem of a file is reported together, and an unknown key is a problem.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path, PurePosixPath

import yaml

from harness.errors import UsageError
from harness.model.run import Deed, Disturbance, Json, PipelineCase
from harness.targets.osiris.services import KNOWN_NEEDS

__all__ = ["CASES", "FIXTURES", "LEAK_CASES", "load_case", "load_cases"]

CASES = Path(__file__).parent / "cases"
FIXTURES = CASES / "fixtures"
LEAK_CASES = Path(__file__).parent / "leak_cases"
MAX_DEADLINE_S = 24 * 3600.0

_KEYS = (
    *("name", "purpose", "oml", "files", "env", "outputs", "expect_success", "deadline_s"),
    *("arguments", "needs", "sandbox_timeout_s", "sandbox_expires", "faults", "disturbance"),
)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        super().flatten_mapping(node)


class _Fields:
    """Reads the fields of one document and keeps what is wrong with each."""

    def __init__(self, document: dict[str, Json]) -> None:
        self._document = document
        self.problems: list[str] = []
        for key in document:
            if key not in _KEYS:
                self.problems.append(f"unknown key {key!r}; known are {', '.join(_KEYS)}")

    def name(self, stem: str) -> str:
        value = self._document.get("name")
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            self.problems.append(f"name: expected lower case, digits, - and _, not {value!r}")
        elif value != stem:
            self.problems.append(f"name: expected the file's own name {stem!r}, not {value!r}")
        return stem

    def purpose(self) -> str:
        value = self._document.get("purpose")
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())
        self.problems.append(f"purpose: expected one sentence, not {value!r}")
        return ""

    def oml(self) -> str:
        value = self._document.get("oml")
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, dict) and value:
            return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
        self.problems.append(f"oml: expected a mapping or text, not {value!r}")
        return ""

    def files(self) -> dict[str, bytes]:
        files = {}
        for name, content in self._mapping("files").items():
            problem = _path_problem(name)
            if problem:
                self.problems.append(f"files: {problem}")
            data = _file_content(content)
            if data is None:
                self.problems.append(
                    f"files: {name!r}: expected text or {{base64: ...}}, not {content!r}"
                )
            else:
                files[name] = data
        return files

    def env(self) -> dict[str, str]:
        env = {}
        for name, value in self._mapping("env").items():
            if not _VARIABLE.fullmatch(name):
                self.problems.append(f"env: not a variable's name: {name!r}")
            elif not isinstance(value, str) or "\0" in value:
                self.problems.append(f"env: {name}: expected text (quote it), not {value!r}")
            else:
                env[name] = value
        return env

    def outputs(self) -> tuple[str, ...]:
        value = self._document.get("outputs", [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.problems.append(f"outputs: expected a list of paths, not {value!r}")
            return ()
        paths = tuple(str(item) for item in value)
        self.problems.extend(
            f"outputs: {problem}" for path in paths if (problem := _path_problem(path))
        )
        if len(set(paths)) < len(paths):
            self.problems.append("outputs: a path stands twice")
        return paths

    def expect_success(self) -> bool | None:
        value = self._document.get("expect_success", True)
        if value is None or isinstance(value, bool):
            return value
        self.problems.append(f"expect_success: expected true, false or null, not {value!r}")
        return None

    def deadline_s(self) -> float:
        value = self._document.get("deadline_s", 120.0)
        if type(value) in {int, float} and 0 < (seconds := float(str(value))) <= MAX_DEADLINE_S:
            return seconds
        self.problems.append(
            f"deadline_s: expected seconds above 0, at most {MAX_DEADLINE_S:g}, not {value!r}"
        )
        return 1.0

    def arguments(self) -> tuple[str, ...] | None:
        value = self._document.get("arguments")
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(str(item) for item in value)
        self.problems.append(f"arguments: expected a list of words (quote them), not {value!r}")
        return None

    def needs(self) -> tuple[str, ...]:
        value = self._document.get("needs", [])
        if isinstance(value, list) and all(item in KNOWN_NEEDS for item in value):
            return tuple(str(item) for item in value)
        known = ", ".join(sorted(KNOWN_NEEDS))
        self.problems.append(f"needs: expected a list out of {known}, not {value!r}")
        return ()

    def sandbox_timeout_s(self) -> int | None:
        value = self._document.get("sandbox_timeout_s")
        if value is None or (type(value) is int and 0 < value <= MAX_DEADLINE_S):
            return value if isinstance(value, int) else None
        self.problems.append(f"sandbox_timeout_s: expected whole seconds above 0, not {value!r}")
        return None

    def sandbox_expires(self) -> bool:
        value = self._document.get("sandbox_expires", False)
        if isinstance(value, bool):
            return value
        self.problems.append(f"sandbox_expires: expected true or false, not {value!r}")
        return False

    def faults(self) -> tuple[dict[str, Json], ...]:
        value = self._document.get("faults", [])
        rules = value if isinstance(value, list) else []
        found = tuple(rule for rule in rules if isinstance(rule, dict) and "route" in rule)
        if len(found) != len(rules) or rules is not value:
            self.problems.append(f"faults: expected a list of rules with a route, not {value!r}")
        return found

    def disturbance(self) -> Disturbance | None:
        value = self._document.get("disturbance")
        if value is None:
            return None
        known = [deed.value for deed in Deed]
        if (
            not isinstance(value, dict)
            or not value.keys() <= {"step", "deed", "seconds", "delay_s"}
            or not isinstance(value.get("step"), str)
            or value.get("deed") not in known
            or any(type(value.get(name, 0)) not in {int, float} for name in ("seconds", "delay_s"))
        ):
            self.problems.append(
                f"disturbance: expected step, deed ({', '.join(known)}), to advance "
                f"seconds, and to be later than the step's start delay_s, not {value!r}"
            )
            return None
        found = Disturbance(
            step=str(value["step"]),
            deed=Deed(str(value["deed"])),
            seconds=float(str(value.get("seconds", 0))),
            delay_s=float(str(value.get("delay_s", 0))),
        )
        if found.deed is Deed.INTERRUPT and "arguments" not in self._document:
            self.problems.append("disturbance: only a command line can be interrupted: arguments")
        return found

    def _mapping(self, key: str) -> dict[str, Json]:
        value = self._document.get(key, {})
        if isinstance(value, dict) and all(isinstance(name, str) for name in value):
            return value
        self.problems.append(f"{key}: expected a mapping with text as keys, not {value!r}")
        return {}


def load_case(path: Path) -> PipelineCase:
    """Reads one case.

    Raises:
        UsageError: if the file is not a case; every problem is named.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _not_a_case(path, [" ".join(str(error).split())]) from error
    if not isinstance(document, dict):
        raise _not_a_case(path, [f"expected a mapping, not {type(document).__name__}"])
    fields = _Fields(document)
    case = PipelineCase(
        name=fields.name(path.stem),
        purpose=fields.purpose(),
        oml=fields.oml(),
        files=fields.files(),
        env=fields.env(),
        outputs=fields.outputs(),
        expect_success=fields.expect_success(),
        deadline_s=fields.deadline_s(),
        arguments=fields.arguments(),
        needs=fields.needs(),
        sandbox_timeout_s=fields.sandbox_timeout_s(),
        sandbox_expires=fields.sandbox_expires(),
        faults=fields.faults(),
        disturbance=fields.disturbance(),
    )
    if fields.problems:
        raise _not_a_case(path, fields.problems)
    return case


def load_cases(folder: Path) -> tuple[PipelineCase, ...]:
    """Every case of a folder (not of its subfolders), sorted by name.

    Raises:
        UsageError: if a file is not a case; every file's problems are named.
    """
    cases, problems = [], []
    for path in sorted(folder.glob("*.yaml")):
        try:
            cases.append(load_case(path))
        except UsageError as error:
            problems.append(error.happened)
    if problems:
        raise UsageError(
            "; ".join(problems),
            expected="cases as docs/reference/cases.md describes them",
            next_step="correct the files",
        )
    return tuple(cases)


def _path_problem(name: str) -> str | None:
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts:
        return f"expected a path inside the project, without .., not {name!r}"
    return None


def _file_content(content: Json) -> bytes | None:
    if isinstance(content, str):
        return content.encode("utf-8")
    if isinstance(content, dict) and content.keys() == {"base64"}:
        try:
            return base64.b64decode(str(content["base64"]), validate=True)
        except binascii.Error:
            return None
    return None


def _not_a_case(path: Path, problems: list[str]) -> UsageError:
    return UsageError(
        f"not a case: {path}: " + "; ".join(problems),
        expected="a file as docs/reference/cases.md describes it",
        next_step=f"correct {path}",
    )
