"""What the tests on moto share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from moto_stack import MotoStack, moto_aws


@pytest.fixture(scope="module")
def running() -> Iterator[MotoStack]:
    """moto, for all tests of a file."""
    with moto_aws() as moto:
        yield moto
