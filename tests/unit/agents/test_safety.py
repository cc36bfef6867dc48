import pytest

from offhook.agents import safety_identifier

KEY = b"a secret of ours"


def test_it_is_stable_keyed_and_tells_nothing() -> None:
    identifier = safety_identifier("+15550100", KEY)
    assert len(identifier) == 64
    assert identifier == safety_identifier("+15550100", KEY)
    assert identifier != safety_identifier("+15550101", KEY)
    assert identifier != safety_identifier("+15550100", b"another")
    assert "5550100" not in identifier


@pytest.mark.parametrize("spelling", ["tel:+15550100", "TEL:+1 555-0100", "+1 (555) 0100", " +1.555.0100 "])
def test_spellings_of_one_number(spelling: str) -> None:
    assert safety_identifier(spelling, KEY) == safety_identifier("+15550100", KEY)


@pytest.mark.parametrize("ani", ["", "  ", "tel:"])
def test_a_caller_without_a_number_has_no_identifier(ani: str) -> None:
    assert safety_identifier(ani, KEY) == ""
