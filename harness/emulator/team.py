"""The one team of an emulator."""

from __future__ import annotations

import uuid

__all__ = ["TEAM_ID", "TEAM_NAME"]

TEAM_NAME = "harness"
TEAM_ID = str(uuid.uuid5(uuid.NAMESPACE_URL, TEAM_NAME))
