import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.httpsig import Key, KeyRing, SecretError, decode_secret
from tests.unit.httpsig.vectors import SECRET, SECRET_BASE64


def test_secret_is_the_decoded_bytes() -> None:
    assert decode_secret(SECRET_BASE64) == SECRET


@given(st.binary(min_size=1, max_size=80))
def test_both_alphabets_with_and_without_padding(secret: bytes) -> None:
    standard = base64.b64encode(secret).decode()
    url_safe = base64.urlsafe_b64encode(secret).decode()
    for text in (standard, standard.rstrip("="), url_safe, url_safe.rstrip("="), f" {standard}\n"):
        assert decode_secret(text) == secret


@pytest.mark.parametrize("text", ["", "  ", "==", "A", "not base64!", "caf\u00e9", "AA\nAA"])
def test_what_is_not_base64(text: str) -> None:
    with pytest.raises(SecretError) as caught:
        decode_secret(text)
    assert "AA" not in str(caught.value)


def test_a_key_never_shows_itself() -> None:
    assert repr(Key("an-id", (SECRET,))) == "Key()"


@pytest.mark.parametrize(("key_id", "secrets"), [("", ()), ("id", (b"",)), ("id", (b"x", b""))])
def test_a_key_without_id_or_with_an_empty_secret_cannot_be_made(key_id: str, secrets: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        Key(key_id, secrets)


def test_key_ring() -> None:
    first, second = Key("first"), Key("second", (b"x",))
    ring = KeyRing([first, second])
    assert ring.find("first") is first
    assert ring.find("second") is second
    for unknown in ("", "firs", "first ", "FIRST", "\udcff", "caf\u00e9"):
        assert ring.find(unknown) is None
