import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.tools import scrub, secrets_in


def test_what_counts_as_secret() -> None:
    arguments = {"pin": "4711", "deep": [{"a": "xyz"}, ("12", 1234)], "short": "ab", "yes": True, "none": None, "n": 12}
    assert secrets_in(arguments) == {"4711", "xyz", "1234"}
    assert secrets_in(None) == frozenset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the code 4711 is right", "the code [secret] is right"),
        ("4711", "[secret]"),
        ("x4711y", "x[secret]y"),
        ("4-7-1-1 4 7 1 1 47 11 4.7.1.1", "[secret] [secret] [secret] [secret]"),
        ("4, 7, 1, 1", "[secret]"),
        ("4_7\u00a01\n1", "[secret]"),
        ('{"digits":["4","7","1","1"]}', '{"digits":["[secret]"]}'),
        ("47x11 471", "47x11 471"),
        ("", ""),
    ],
)
def test_secrets_are_found_however_they_are_spelled(text: str, expected: str) -> None:
    assert scrub(text, ["4711"]) == expected


def test_upper_and_lower_case_are_the_same() -> None:
    assert scrub("Is it SESAME or ses-ame?", ["Sesame"]) == "Is it [secret] or [secret]?"


def test_the_longest_is_taken_first() -> None:
    assert scrub("123456 1234", ["1234", "123456"]) == "[secret] [secret]"


def test_separators_in_a_secret_do_not_matter() -> None:
    assert scrub("12-34-56 and 123456", ["12 34 56"]) == "[secret] and [secret]"


def test_a_secret_of_signs_is_taken_as_it_is() -> None:
    assert scrub("is it *#*# or .*", ["*#*#"]) == "is it [secret] or .*"
    long = "a" * 65
    assert scrub(f"{long} {'a-' * 65}", [long]) == f"[secret] {'a-' * 65}"


def test_what_is_too_short_stays() -> None:
    assert scrub("12 ab", ["12", "ab", ""]) == "12 ab"


def test_the_time_is_bounded() -> None:
    began = time.perf_counter()
    scrub("1 - " * 16_000, ["1" * 63 + "2"])
    scrub("- " * 32_000, ["- - -", "1-2"])
    assert time.perf_counter() - began < 2


@given(st.text("0123456789", min_size=3, max_size=12), st.text(max_size=20), st.text(max_size=20), st.data())
def test_a_secret_never_remains(secret: str, before: str, after: str, data: st.DataObject) -> None:
    spelled = secret[0]
    for digit in secret[1:]:
        spelled += data.draw(st.text(" -./", max_size=3)) + digit
    text = scrub(f"{before}{spelled}{after}", [secret])
    assert secret not in "".join(character for character in text if character.isalnum())
