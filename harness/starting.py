"""How a program of the harness comes up quickly.

What a program imports stays until its end, so looking for garbage among it is time lost:
with CPython's own threshold of 700 new objects that happens about a hundred times before an
emulator is ready, which takes it 20 ms.
"""

from __future__ import annotations

import gc

__all__ = ["begin", "over"]

# A start leaves some 82,000 objects behind.
_THRESHOLD = 200_000
_USUAL = gc.get_threshold()


def begin() -> None:
    """Looks for garbage rarely from now on; called before the long imports."""
    gc.set_threshold(_THRESHOLD, *_USUAL[1:])


def over() -> None:
    """Looks for garbage as usual, and never again among what is there already.

    For programs that serve; one that ends soon can go on as it began.
    """
    gc.freeze()
    gc.set_threshold(*_USUAL)
