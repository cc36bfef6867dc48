from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.realtime import RealtimeFake, realtime_fake
from tests.acceptance.world import World


@pytest.fixture
async def ai() -> AsyncIterator[RealtimeFake]:
    """An AI that confirms its session and then does what the test says."""
    async with realtime_fake() as fake:
        yield fake


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
