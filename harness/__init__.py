"""Test harness for code that runs in E2B sandboxes.

The package's parts are listed in docs/explanation/architecture.md. Nothing is
exported here: import from the part that owns what you need.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
