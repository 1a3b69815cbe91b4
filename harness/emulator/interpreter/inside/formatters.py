"""Further forms of results: rows of a DataFrame, data of a chart, JSON, saved images.

Loaded by a Python kernel before its first code. Imports no library that the code may
not need: each form looks first whether the library is loaded already.
Source: e2b-dev/code-interpreter template/startup_scripts.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from IPython.core.formatters import BaseFormatter, JSONFormatter
from IPython.core.interactiveshell import InteractiveShell
from traitlets import ObjectName, Unicode

__all__ = ["install"]


class _RowsFormatter(BaseFormatter):
    """A DataFrame as columns of plain values."""

    format_type = Unicode("e2b/data")
    print_method = ObjectName("_repr_e2b_data_")
    _return_type = (dict, str)

    def __call__(self, obj: Any) -> Any:
        pandas: Any = sys.modules.get("pandas")
        if pandas is None or not isinstance(obj, pandas.DataFrame):
            return super().__call__(obj)
        columns = obj.to_dict(orient="list")
        return {
            name: [v.isoformat() if isinstance(v, pandas.Timestamp) else v for v in values]
            for name, values in columns.items()
        }


class _ChartFormatter(BaseFormatter):
    """A figure of matplotlib as E2B's description of its data."""

    format_type = Unicode("e2b/chart")
    print_method = ObjectName("_repr_e2b_chart_")
    _return_type = (dict, str)

    def __call__(self, obj: Any) -> Any:
        figure_module = sys.modules.get("matplotlib.figure")
        if figure_module is None or not isinstance(obj, figure_module.Figure):
            return super().__call__(obj)
        from e2b_charts import chart_figure_to_dict  # noqa: PLC0415 - costs its import

        try:
            return chart_figure_to_dict(obj)
        except Exception:  # noqa: BLE001 - a border: a chart that it cannot read is no error there
            return {}


class _JsonFormatter(JSONFormatter):
    """Lists and dictionaries also as JSON."""

    def __call__(self, obj: Any) -> Any:
        if isinstance(obj, (list, dict)):
            import orjson  # noqa: PLC0415 - costs its import

            options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
            try:
                return orjson.loads(orjson.dumps(obj, option=options)), {"expanded": True}
            except TypeError:
                return super().__call__(obj)
        return super().__call__(obj)


def install(shell: InteractiveShell) -> None:
    """Adds the forms to a kernel's shell."""
    formatters = shell.display_formatter.formatters
    formatters["e2b/data"] = _RowsFormatter(parent=shell.display_formatter)
    formatters["e2b/chart"] = _ChartFormatter(parent=shell.display_formatter)
    formatters["application/json"] = _JsonFormatter(parent=shell.display_formatter)
    sys.meta_path.insert(0, _AfterImport())


def _show_saved_images(module: ModuleType) -> None:
    """An image that is saved to a path is displayed."""
    from IPython.core.display_functions import display  # noqa: PLC0415 - loaded by now

    save = module.Image.save

    @functools.wraps(save)
    def show_and_save(self: Any, fp: Any, format: Any = None, **params: Any) -> None:  # noqa: A002 - PIL's name
        if isinstance(fp, str):
            display(self)
        save(self, fp, format, **params)

    module.Image.save = show_and_save


def _open_no_window(module: ModuleType) -> None:
    """There is no screen; 0 has PIL go on to the notebook's way of showing an image."""
    module.UnixViewer.show_file = lambda _self, _path, **_options: 0


class _AfterImport(importlib.abc.MetaPathFinder):
    """Changes PIL when it is first imported, so that kernels without it start fast."""

    def __init__(self) -> None:
        self._changes: dict[str, Callable[[ModuleType], None]] = {
            "PIL.Image": _show_saved_images,
            "PIL.ImageShow": _open_no_window,
        }

    def find_spec(
        self,
        fullname: str,
        path: object,  # noqa: ARG002 - the protocol's
        target: object = None,  # noqa: ARG002 - the protocol's
    ) -> ModuleSpec | None:
        """The module as it would be found anyway, changed after it was loaded."""
        change = self._changes.pop(fullname, None)
        if change is None:
            return None
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            change(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # this loader only
        return spec
