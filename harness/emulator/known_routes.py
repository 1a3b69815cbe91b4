"""The routes of E2B's API that its clients know, whether the emulator serves them or not.

Source: e2b-dev/E2B spec/openapi.yml and spec/openapi-volumecontent.yml at b802997; what
they do not have yet: e2b 2.63.0 e2b/api/client/api; what no SDK asks for:
e2b.dev/docs/sandbox/lifecycle-events-api. Those of E2B's own operators (`/nodes`,
`/admin`) are left out: no client asks for them.
"""

from __future__ import annotations

__all__ = ["ENVD_ROUTES", "KNOWN_ROUTES"]

_TEXT = """
GET /health
POST /sandboxes
POST /v2/sandboxes
GET /sandboxes
GET /v2/sandboxes
GET /sandboxes/{sandbox_id}
DELETE /sandboxes/{sandbox_id}
POST /sandboxes/{sandbox_id}/connect
POST /v2/sandboxes/{sandbox_id}/connect
POST /sandboxes/{sandbox_id}/resume
POST /sandboxes/{sandbox_id}/pause
POST /sandboxes/{sandbox_id}/timeout
POST /sandboxes/{sandbox_id}/refreshes
PUT /sandboxes/{sandbox_id}/network
POST /sandboxes/{sandbox_id}/fork
POST /sandboxes/{sandbox_id}/snapshots
GET /snapshots
GET /sandboxes/metrics
GET /sandboxes/{sandbox_id}/metrics
GET /sandboxes/{sandbox_id}/logs
GET /v2/sandboxes/{sandbox_id}/logs
GET /events/sandboxes
GET /events/sandboxes/{sandbox_id}
GET /templates
GET /v2/templates
GET /default-templates
POST /templates
POST /v2/templates
POST /v3/templates
GET /templates/{template_id}
POST /templates/{template_id}
DELETE /templates/{template_id}
PATCH /templates/{template_id}
PATCH /v2/templates/{template_id}
GET /templates/aliases/{alias}
GET /templates/{template_id}/files/{hash}
POST /templates/{template_id}/builds/{build_id}
POST /v2/templates/{template_id}/builds/{build_id}
GET /templates/{template_id}/builds/{build_id}/status
GET /templates/{template_id}/builds/{build_id}/logs
POST /templates/tags
DELETE /templates/tags
GET /templates/{template_id}/tags
GET /templates/{template_id}/tags/count
GET /templates/{template_id}/tags/exists
GET /templates/{template_id}/tags/groups
GET /templates/{template_id}/tags/{tag}/assignments
GET /volumes
POST /volumes
GET /volumes/{volume_id}
DELETE /volumes/{volume_id}
GET /volumecontent/{volume_id}/path
DELETE /volumecontent/{volume_id}/path
PATCH /volumecontent/{volume_id}/path
GET /volumecontent/{volume_id}/dir
POST /volumecontent/{volume_id}/dir
GET /volumecontent/{volume_id}/file
PUT /volumecontent/{volume_id}/file
GET /secrets
POST /secrets
GET /secrets/{secret_id}
POST /secrets/{secret_id}
DELETE /secrets/{secret_id}
GET /teams
GET /teams/{team_id}/metrics
GET /teams/{team_id}/metrics/max
GET /api-keys
POST /api-keys
PATCH /api-keys/{api_key_id}
DELETE /api-keys/{api_key_id}
POST /access-tokens
DELETE /access-tokens/{access_token_id}
"""

KNOWN_ROUTES: tuple[tuple[str, str], ...] = tuple(
    (method, pattern) for method, pattern in (line.split() for line in _TEXT.split("\n") if line)
)

# Source: e2b-dev/infra packages/envd/spec/envd.yaml and the two services' .proto files.
ENVD_ROUTES: tuple[tuple[str, str], ...] = (
    ("GET", "/health"),
    ("GET", "/envs"),
    ("GET", "/metrics"),
    ("GET", "/files"),
    ("POST", "/files"),
    ("POST", "/files/compose"),
    *(
        ("POST", f"/process.Process/{name}")
        for name in (
            *("List", "Start", "Connect", "Update", "SendInput", "StreamInput"),
            *("SendSignal", "CloseStdin"),
        )
    ),
    *(
        ("POST", f"/filesystem.Filesystem/{name}")
        for name in (
            *("Stat", "MakeDir", "Move", "ListDir", "Remove"),
            *("WatchDir", "CreateWatcher", "GetWatcherEvents", "RemoveWatcher"),
        )
    ),
)
