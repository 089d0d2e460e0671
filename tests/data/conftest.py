"""Where the real data sets are: beside the checkout, or where JAXGRAPHS_DATA says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The directory of real data; a test that needs it is skipped where there is none."""
    beside = Path(__file__).resolve().parents[2] / "../shared/data"
    found = Path(os.environ.get("JAXGRAPHS_DATA", beside))
    if not found.is_dir():
        pytest.skip("no real data: neither ../shared/data nor JAXGRAPHS_DATA is a directory")
    return found
