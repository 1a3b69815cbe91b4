"""Stands on loopback before a real E2B API: tags, a ledger, and images of what was ended.

`attach` starts it as a process of its own and ends it; `server` is that process.
Everything that passes is forwarded unchanged, but for the tags in a create request.
"""

from harness.gateway.attach import Gateway

__all__ = ["Gateway"]
