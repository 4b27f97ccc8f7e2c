"""What tests share that need a local AWS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from moto_stack import MotoStack, moto_aws
from scenario import CONFIG, prepare
from stack import Stack, built_binary, local_aws


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ends_servers: the browser may say that it has lost a connection")


@pytest.fixture(scope="module")
def running() -> Iterator[MotoStack]:
    """moto, for all tests of a file."""
    with moto_aws() as moto:
        yield moto


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The emulator with the demo's queues and the function, for all tests of a file."""
    with local_aws() as emulator:
        prepare(emulator)
        emulator.deploy(built_binary(), CONFIG)
        yield emulator
