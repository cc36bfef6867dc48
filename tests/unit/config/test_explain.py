import pytest

from offhook.config.explain import did_you_mean, known_keys
from offhook.config.schema import Config


@pytest.mark.parametrize(
    ("loc", "some"),
    [
        ((), {"listen", "agents", "keys"}),
        (("keys", 0), {"id", "secret"}),
        (("agents", "any"), {"instructions", "voice"}),
        (("agents", "any", "turn_detection", "server_vad"), {"threshold", "eagerness"}),
        (("agents", "any", "greeting", "(structured)"), {"text"}),
        (("agents", "any", "inputs", "X"), {"required", "default"}),
        (("realtime", "providers", 3), {"name", "url", "api_key"}),
    ],
)
def test_known_keys(loc: tuple[int | str, ...], some: set[str]) -> None:
    assert some <= known_keys(Config, loc)


def test_did_you_mean() -> None:
    assert did_you_mean("instuctions", ["instructions", "voice"]) == "did you mean instructions?"
    assert did_you_mean("x", ["b", "a"]) == "known are a, b"
    assert did_you_mean("x", []) == ""
    assert did_you_mean("x", [f"name{n}" for n in range(20)]) == ""
