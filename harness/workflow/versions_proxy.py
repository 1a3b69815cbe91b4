"""A pytest plugin for an e2b that reads no HTTPS_PROXY: its own option `proxy`, everywhere.

Before 2.30 the SDK hands its HTTP client a transport of its own, and with that httpx
asks no variable; the documented way through a proxy is the option that each call takes.
It is copied beside the contract and runs in the client's own environment.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from typing import Any

__all__ = ["pytest_configure"]


def pytest_configure() -> None:
    """Has each call of the SDK take the proxy of the environment, unless it names one."""
    _take_proxy("e2b.connection_config", "ConnectionConfig")
    if importlib.util.find_spec("e2b.volume") is not None:
        _take_proxy("e2b.volume.connection_config", "VolumeConnectionConfig")


def _take_proxy(module: str, name: str) -> None:
    config = getattr(importlib.import_module(module), name)
    configure = config.__init__

    @functools.wraps(configure)
    def with_proxy(self: Any, *args: Any, **options: Any) -> None:
        if options.get("proxy") is None:
            options["proxy"] = os.environ["HTTPS_PROXY"]
        configure(self, *args, **options)

    config.__init__ = with_proxy
