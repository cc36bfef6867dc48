import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.httpsig import MalformedSignature, SignedRequest, sign_request
from offhook.httpsig.base import parse_signature_headers, serialize_input


def test_parameters_are_read_in_order_and_by_kind() -> None:
    parsed, signature = parse_signature_headers('s=("date");created=5;tag="t";keyid="k"', "s=:AAEC:;x=1")
    assert signature == b"\x00\x01\x02"
    assert parsed.label == "s"
    assert parsed.components == ("date",)
    assert parsed.serialized == '("date");created=5;tag="t";keyid="k"'
    assert parsed.text("tag") == "t"
    assert parsed.number("created") == 5
    assert parsed.text("created") is None
    assert parsed.number("keyid") is None


def test_unusual_but_right_spacing_is_signed_in_its_serialised_form() -> None:
    parsed, _ = parse_signature_headers('s=(  "date"   "x" ); created=5', "s=:AAEC:")
    assert parsed.serialized == '("date" "x");created=5'


def test_two_labels_of_which_none_is_sig1() -> None:
    with pytest.raises(MalformedSignature):
        parse_signature_headers('a=("date"), b=("date")', "a=:AAEC:, b=:AAEC:")


_TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)


@given(
    st.lists(_TEXT, max_size=8, unique=True).map(tuple),
    _TEXT,
    st.integers(-999_999_999_999_999, 999_999_999_999_999),
)
def test_what_is_serialised_is_read_again(components: tuple[str, ...], text: str, number: int) -> None:
    serialized = serialize_input(components, {"nonce": text, "created": number})
    parsed, _ = parse_signature_headers(f"sig1={serialized}", "sig1=:AAEC:")
    assert parsed.components == components
    assert parsed.text("nonce") == text
    assert parsed.number("created") == number
    assert parsed.serialized == serialized


def test_signing_a_header_that_is_not_there_fails() -> None:
    with pytest.raises(MalformedSignature, match="x-api-key"):
        sign_request(
            SignedRequest("/", "h", {}), key_id="k", secret=b"s", nonce="n", created=0, components=("x-api-key",)
        )
