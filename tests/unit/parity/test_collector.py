from __future__ import annotations

import contextlib
import gc

from harness.parity.collector import uncollected


def test_collection_rests_and_goes_on() -> None:
    """Also after an error, and within another rest."""
    assert gc.isenabled()
    with contextlib.suppress(ValueError), uncollected():
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
        raise ValueError
    assert gc.isenabled()
