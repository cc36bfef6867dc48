import msgspec
import pytest

from offhook.audiohook import LocalProtocolError
from offhook.audiohook import messages as m
from offhook.audiohook.codec import MAX_TEXT_BYTES, encode
from offhook.audiohook.disconnect import build_disconnect


def size(parameters: m.DisconnectParameters) -> int:
    """Bytes of the whole message, in the worst envelope."""
    return len(encode(m.Disconnect(id="x" * 128, seq=2**53, clientseq=2**53, parameters=parameters)).encode())


def test_what_fits_is_left_alone() -> None:
    parameters = build_disconnect("completed", "done", {"A": "1", "B": ""})
    assert parameters == m.DisconnectParameters(reason="completed", info="done", output_variables={"A": "1", "B": ""})
    assert build_disconnect("error", "", None) == m.DisconnectParameters(reason="error")
    assert build_disconnect("completed", "", {}).output_variables == {}


@pytest.mark.parametrize("reason", ["complete", "normal", "closed", "", "Completed"])
def test_reasons_are_an_exact_set(reason: str) -> None:
    """Trap 37."""
    with pytest.raises(LocalProtocolError):
        build_disconnect(reason, "", None)


@pytest.mark.parametrize("variables", [{"A": 1}, {"A": None}, {"A": {"b": "c"}}, {1: "a"}])
def test_variables_are_strings(variables: dict[str, str]) -> None:
    """Trap 40."""
    with pytest.raises(LocalProtocolError):
        build_disconnect("completed", "", variables)


def test_long_values_are_cut_and_short_ones_kept() -> None:
    parameters = build_disconnect("completed", "", {"LONG": "a" * 200_000, "INTENT": "order", "LONG2": "ß\n" * 90_000})
    variables = parameters.output_variables
    assert variables is not None
    assert variables["INTENT"] == "order"
    assert variables["LONG"] == "a" * len(variables["LONG"])
    assert len(variables["LONG"]) > 10_000
    assert 50_000 < size(parameters) <= MAX_TEXT_BYTES


def test_too_many_variables_lose_the_last() -> None:
    parameters = build_disconnect("completed", "\x01" * 5000, {f"NAME_{i:05}": "v" for i in range(20_000)})
    variables = parameters.output_variables
    assert variables is not None
    assert 1000 < len(variables) < 20_000
    assert list(variables) == [f"NAME_{i:05}" for i in range(len(variables))]
    assert size(parameters) <= MAX_TEXT_BYTES


def test_one_endless_name_is_given_up() -> None:
    assert build_disconnect("completed", "", {"N" * 100_000: "v"}).output_variables == {}


def test_what_is_no_unicode_is_replaced() -> None:
    parameters = build_disconnect("completed", "a\ud800", {"\ud800": "b\ud800"})
    assert parameters.info == "a?"
    assert parameters.output_variables == {"?": "b?"}
    assert msgspec.json.encode(parameters)
