"""Secret digits are taken out of whatever leaves the call."""

import time

import pytest

from offhook.bridge.secrets import Secrets, scrub


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("", ""),
        ("no digits at all", "no digits at all"),
        ("1234", "[secret]"),
        ("the PIN 1234 is wrong", "the PIN [secret] is wrong"),
        ("1 2 3 4", "[secret]"),
        ("1-2-3-4, 1. 2. 3. 4.", "[secret], [secret]."),
        ("12 - 34", "[secret]"),
        ("1\u20112\u00a03\u22124", "[secret]"),
        ('{"pin":"1234"}', '{"pin":"[secret]"}'),
        ('["1","2","3","4"]', '["[secret]"]'),
        ("9912345", "99[secret]5"),
        ("12341234", "[secret][secret]"),
        ("1 2 3 and 4", "1 2 3 and 4"),
        ("12    34", "12    34"),
        ("1243", "1243"),
        ("12 three 4", "12 three 4"),
    ],
)
def test_of_four_digits(text: str, scrubbed: str) -> None:
    assert scrub(text, ["1234"]) == scrubbed


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("123", "[secret]"),
        ("code 1-2-3!", "code [secret]!"),
        ("0123", "0123"),
        ("1234", "1234"),
        ("order 99123, code 123", "order 99123, code [secret]"),
    ],
)
def test_of_three_digits_where_they_stand_alone(text: str, scrubbed: str) -> None:
    assert scrub(text, ["123"]) == scrubbed


def test_shorter_ones_are_left() -> None:
    assert scrub("12 of 12", ["12", ""]) == "12 of 12"


def test_what_overlaps_goes_as_one() -> None:
    assert scrub("x1111111y", ["1111"]) == "x[secret]y"
    assert scrub("12345678", ["1234", "3456"]) == "[secret]78"
    assert scrub("12345678", ["3456", "12345678"]) == "[secret]"


def test_long_texts_take_no_time() -> None:
    began = time.perf_counter()
    assert scrub("1 " * 100_000, ["1111222233334444"]) == "1 " * 100_000
    assert scrub("1" + " " * 200_000 + "1", ["1111"]).startswith("1 ")
    assert time.perf_counter() - began < 2


def test_what_a_call_knows() -> None:
    secrets = Secrets()
    assert secrets.scrub("1234") == "1234"
    secrets.add("1234")
    secrets.add("1234")
    secrets.add("987")
    assert secrets.scrub("1234 and 987") == "[secret] and [secret]"
    assert repr(secrets) == "Secrets(2)"
