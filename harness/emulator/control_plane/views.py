"""Sandboxes as the control plane's answers show them.

Source: e2b 2.63.0 e2b/api/client/models (sandbox, sandbox_detail, listed_sandbox).
"""

from __future__ import annotations

from typing import Any

from harness.clock import format_instant
from harness.emulator.life import SandboxLife, SandboxState

__all__ = ["CLIENT_ID", "ENVD_VERSION", "connection_view", "detail_view", "listed_view"]

# Clients choose features by this version; all that it stands for is served.
ENVD_VERSION = "0.6.13"
# A constant that E2B still answers for clients before 1.1.
CLIENT_ID = "6532622b"


def connection_view(life: SandboxLife, domain: str) -> dict[str, Any]:
    """The answer to create, connect and resume: what a client needs to speak to it."""
    view: dict[str, Any] = {
        "templateID": life.asked.template.template_id,
        "sandboxID": life.sandbox_id,
        "alias": life.asked.template.name,
        "clientID": CLIENT_ID,
        "envdVersion": ENVD_VERSION,
        "domain": domain,
        "trafficAccessToken": life.traffic_token,
    }
    if life.access_token is not None:
        view["envdAccessToken"] = life.access_token
    return view


def listed_view(life: SandboxLife) -> dict[str, Any]:
    """One row of a listing."""
    template = life.asked.template
    return {
        "templateID": template.template_id,
        "alias": template.name,
        "sandboxID": life.sandbox_id,
        "clientID": CLIENT_ID,
        "startedAt": format_instant(life.started_at),
        "endAt": format_instant(life.end_at),
        "cpuCount": template.cpu_count,
        "memoryMB": template.memory_mb,
        "diskSizeMB": template.disk_size_mb,
        "metadata": dict(life.metadata),
        "state": life.state.value,
        "envdVersion": ENVD_VERSION,
        "volumeMounts": [dict(mount) for mount in life.asked.volume_mounts],
    }


def detail_view(life: SandboxLife, domain: str) -> dict[str, Any]:
    """The answer to `GET /sandboxes/{id}`."""
    view = listed_view(life) | {
        "domain": domain,
        "allowInternetAccess": life.asked.allow_internet_access,
        "lifecycle": {
            "autoResume": life.asked.auto_resume,
            "onTimeout": "pause" if life.asked.auto_pause else "kill",
        },
    }
    if life.access_token is not None:
        view["envdAccessToken"] = life.access_token
    if life.asked.network is not None:
        view["network"] = dict(life.asked.network)
    if life.state is SandboxState.PAUSED:
        view["pauseMode"] = "full" if life.paused_memory else "filesystem"
        if life.unresponsive_at_pause:
            view["envdUnresponsiveAtPause"] = True
    return view
