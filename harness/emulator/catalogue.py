"""Which templates the emulator knows, by id, by name and by tag.

Source: e2b-dev/infra packages/shared/pkg/id (names, tags) and packages/api/internal/handlers
(template_request_build_v3.go, template_tags.go, template_delete.go).
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Sequence
from pathlib import Path

from harness.clock import Clock, SystemClock
from harness.emulator.api_error import ApiError
from harness.emulator.credentials import new_id, new_uuid
from harness.emulator.template_names import DEFAULT_TAG, TEAM_SLUG
from harness.emulator.template_records import (
    Build,
    BuildStatus,
    Image,
    TagAssignment,
    Template,
    TemplateRecord,
)

__all__ = [
    "BUILT_IN_NAMES",
    "DEFAULT_TAG",
    "Catalogue",
    "check_tags",
    "split_name",
]

BUILT_IN_NAMES = ("base", "code-interpreter-v1")
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 20
_NAME = re.compile(r"[a-z0-9_-]{1,128}")
_TAG = re.compile(r"[a-z0-9_.-]{1,128}")


class Catalogue:
    """The templates of one emulator.

    Args:
        names: the built-in aliases.
        clock: tells when something was made.
    """

    def __init__(
        self, names: tuple[str, ...] = BUILT_IN_NAMES, *, clock: Clock | None = None
    ) -> None:
        self._clock = clock or SystemClock()
        self._names = names
        self._records: dict[str, TemplateRecord] = {}
        self._snapshots: dict[str, Template] = {}
        self.reset()

    def reset(self) -> None:
        """Forgets every template but the built-in ones."""
        self._records = {}
        for name in self._names:
            record = self._add(_stable_id(name), name)
            record.public = record.built_in = True
            build = self.add_build(record, tags=(DEFAULT_TAG,), build_id=_stable_uuid(name))
            build.status, build.finished_at = BuildStatus.READY, build.created_at
            build.image = Image(environment=name)

    # Looking

    @property
    def records(self) -> tuple[TemplateRecord, ...]:
        """Every template, oldest first."""
        return tuple(self._records.values())

    @property
    def templates(self) -> tuple[Template, ...]:
        """Every template from which a sandbox can be started by its plain name."""
        found = (self.find(record.template_id) for record in self.records)
        return tuple(template for template in found if template is not None)

    def find(self, identifier: str) -> Template | None:
        """The template or snapshot of an id or name, with or without a tag.

        Returns:
            None where there is none, or none is ready.
        """
        name, tag = split_name(identifier)
        record = self._record(name)
        build = record.resolve(tag or DEFAULT_TAG) if record else None
        if record is None or build is None:
            return self._snapshots.get(f"{name}:{tag or DEFAULT_TAG}")
        return _view(record, build)

    def get(self, identifier: str) -> Template:
        """The template of an id or name, with or without a tag.

        Raises:
            ApiError: 404 with the template's name, or its tag's; 400 where no build is ready.
        """
        found = self.find(identifier)
        if found is not None:
            return found
        record = self.record(identifier)
        _, tag = split_name(identifier)
        if (tag or DEFAULT_TAG) not in record.tags():
            shown = tag or DEFAULT_TAG
            raise ApiError(404, f"tag '{shown}' does not exist for template '{record.name}'")
        raise ApiError(400, f"template '{record.name}' has no build that is ready")

    def record(self, identifier: str) -> TemplateRecord:
        """The record of an id or name; a tag is ignored.

        Raises:
            ApiError: 404 with the template's name.
        """
        name, _ = split_name(identifier)
        record = self._record(name)
        if record is None:
            raise ApiError(404, f"template '{name}' not found")
        return record

    def build(self, template_id: str, build_id: str) -> tuple[TemplateRecord, Build]:
        """A template and one of its builds.

        Raises:
            ApiError: 404 where either is not there.
        """
        record = self.record(template_id)
        build = record.builds.get(build_id)
        if build is None:
            raise ApiError(404, f"Build '{build_id}' not found")
        return record, build

    def _record(self, name: str) -> TemplateRecord | None:
        by_id = self._records.get(name)
        if by_id is not None:
            return by_id
        return next((record for record in self.records if record.name == name), None)

    # Changing

    def request(
        self, name: str, tags: Sequence[str], *, cpu_count: int, memory_mb: int
    ) -> tuple[TemplateRecord, Build]:
        """A new build, of a new template where the name is new.

        Args:
            name: with or without a tag; empty makes a template without a name.
            tags: further tags.
            cpu_count: shown, not enforced.
            memory_mb: shown, not enforced.

        Raises:
            ApiError: 400 for a name or tag that cannot be one, 403 for a built-in's name.
        """
        plain, own_tag = split_name(name)
        if (plain and not _NAME.fullmatch(plain)) or name.endswith(":"):
            raise ApiError(400, f"Invalid template name '{name}'")
        wanted = check_tags([*([own_tag] if own_tag else ()), *tags]) or [DEFAULT_TAG]
        record = self._record(plain) if plain else None
        if record is not None and record.built_in:
            raise ApiError(403, f"You don't have access to the template '{plain}'")
        if record is None:
            template_id = new_id("")
            record = self._add(template_id, plain or template_id)
        build = self.add_build(record, tags=wanted, cpu_count=cpu_count, memory_mb=memory_mb)
        return record, build

    def add_build(
        self,
        record: TemplateRecord,
        *,
        tags: Sequence[str] = (),
        cpu_count: int = 2,
        memory_mb: int = 512,
        build_id: str | None = None,
    ) -> Build:
        """A new build that waits; the tags are its own from now on."""
        build = Build(
            build_id=build_id or new_uuid(),
            created_at=self._clock.now(),
            cpu_count=cpu_count,
            memory_mb=memory_mb,
        )
        record.builds[build.build_id] = build
        record.updated_at = build.created_at
        self._assign(record, build, tags)
        return build

    def add_snapshot(self, key: str, template: Template) -> None:
        """Makes a snapshot known as `name:tag`; what had that name before has it no more."""
        self._snapshots[key] = template

    def remove_snapshot(self, key: str) -> None:
        """Forgets a snapshot's name; an unknown one is fine."""
        self._snapshots.pop(key, None)

    def assign_tags(self, target: str, tags: Sequence[str]) -> Build:
        """Gives tags to the build that `target` ("name:tag") names.

        Raises:
            ApiError: 400 for what cannot be a tag, 403 for a built-in, 404 for an unknown target.
        """
        wanted = check_tags(tags)
        if not wanted:
            raise ApiError(400, "At least one tag is required")
        record = self.own(target)
        _, tag = split_name(target)
        build = record.resolve(tag or DEFAULT_TAG)
        if build is None:
            raise ApiError(404, f"Template '{target}' has no build that is ready")
        self._assign(record, build, wanted)
        return build

    def remove_tags(self, name: str, tags: Sequence[str]) -> None:
        """Takes tags away; one that is not there is fine.

        Raises:
            ApiError: 400 for what cannot be a tag, 403 for a built-in, 404 for an unknown name.
        """
        gone = set(check_tags(tags))
        record = self.own(name)
        record.assignments = [a for a in record.assignments if a.tag not in gone]
        record.updated_at = self._clock.now()

    def update(self, identifier: str, *, public: bool | None) -> TemplateRecord:
        """Changes what may be changed of a template.

        Raises:
            ApiError: 403 for a built-in, 404 for an unknown one.
        """
        record = self.own(identifier)
        if public is not None:
            record.public = public
        record.updated_at = self._clock.now()
        return record

    def delete(self, identifier: str) -> TemplateRecord:
        """Removes a template; its sandboxes run on.

        Raises:
            ApiError: 403 for a built-in, 404 for an unknown one.
        """
        record = self.own(identifier)
        del self._records[record.template_id]
        return record

    def spawned(self, template_id: str) -> None:
        """Counts a sandbox; an unknown id is fine."""
        record = self._records.get(template_id)
        if record is not None:
            record.spawn_count += 1
            record.last_spawned_at = self._clock.now()

    def layers(self) -> frozenset[Path]:
        """The files that some build still needs."""
        images = (build.image for record in self.records for build in record.builds.values())
        return frozenset(image.layer for image in images if image and image.layer)

    def own(self, identifier: str) -> TemplateRecord:
        """The record of a template that its team may change.

        Raises:
            ApiError: 403 for a built-in, 404 for an unknown one.
        """
        record = self.record(identifier)
        if record.built_in:
            raise ApiError(403, f"You don't have access to the template '{record.name}'")
        return record

    def _add(self, template_id: str, name: str) -> TemplateRecord:
        now = self._clock.now()
        record = TemplateRecord(template_id=template_id, name=name, created_at=now, updated_at=now)
        self._records[template_id] = record
        return record

    def _assign(self, record: TemplateRecord, build: Build, tags: Sequence[str]) -> None:
        now = self._clock.now()
        record.assignments += [
            TagAssignment(
                assignment_id=new_uuid(), tag=tag, build_id=build.build_id, assigned_at=now
            )
            for tag in tags
        ]
        record.updated_at = now


def check_tags(tags: Sequence[str]) -> list[str]:
    """The tags in their one form, each once.

    Raises:
        ApiError: 400 with the first that cannot be one.
    """
    wanted = [tag.strip().lower() for tag in tags]
    for tag in wanted:
        if not _TAG.fullmatch(tag):
            raise ApiError(400, f"Invalid tag '{tag}': only [a-z0-9_.-] may be in it")
    return list(dict.fromkeys(wanted))


def split_name(identifier: str) -> tuple[str, str]:
    """The name and the tag of "[namespace/]name[:tag]"; the tag is empty where there is none."""
    name, _, tag = identifier.strip().lower().partition(":")
    return name.removeprefix(f"{TEAM_SLUG}/"), tag


def _view(record: TemplateRecord, build: Build) -> Template:
    return Template(
        template_id=record.template_id,
        name=record.name,
        build_id=build.build_id,
        image=build.image or Image(),
        cpu_count=build.cpu_count,
        memory_mb=build.memory_mb,
    )


def _stable_uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{TEAM_SLUG}/{name}"))


def _stable_id(name: str) -> str:
    number = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big")
    digits = []
    for _ in range(_ID_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
