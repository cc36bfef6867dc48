"""Payloads arrive unchanged; the long run is `python -m tests.integration.soak --calls 50 --seconds 600`."""

import pytest

from tests.integration.soak import soak


@pytest.mark.timeout(90)
async def test_every_byte_arrives_once_and_in_order() -> None:
    result = await soak(12, 10.0)
    assert not result.faults
    assert result.caller_bytes == 12 * 10 * 8000
    assert result.agent_bytes > 12 * 3 * 8000
    assert result.worst_opened < 1.0
    assert result.worst_closed < 1.0
    assert 0.0 < result.worst_pong < 0.5
    assert result.worst_unplayed <= 1.0
