from collections.abc import AsyncIterator

import pytest

from offhook.admin import door
from tests.unit.admin.world import World, world


@pytest.fixture(autouse=True)
def _refuse_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "REFUSAL_DELAY", 0.0)


@pytest.fixture
async def admin() -> AsyncIterator[World]:
    async with world() as running:
        yield running
