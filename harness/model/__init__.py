"""Frozen values that travel between the parts of the harness; no I/O."""
