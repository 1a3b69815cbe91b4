"""The interpreter's server as it runs inside a sandbox, on the template's Python.

Needs `jupyter_client` and what it brings along (pyzmq, tornado); imports nothing of the
harness, since a sandbox has none of it.
"""
