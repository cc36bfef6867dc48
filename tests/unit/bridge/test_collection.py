"""One run of `collect_digits`."""

from typing import Any

import msgspec
import pytest

from offhook.bridge.collection import MAX_DIGITS, MAX_QUESTION, Collection, DigitRequest, Entered, read_request
from offhook.bridge.plan import CollectDigits

HEARD = 100.0
"""When the caller has heard the question."""


def collection(length: int | None = None, *, terminator: str | None = "#", **settings: Any) -> Collection:
    request = DigitRequest("the order number", length, secret=False)
    return Collection("call_1", request, CollectDigits(**settings), terminator, HEARD - 3)


def enter(digits: str, collecting: Collection, now: float = HEARD + 1) -> Collection:
    for digit in digits:
        collecting.press(digit, now)
    return collecting


def came(
    collecting: Collection, now: float, quiet: float | None = HEARD, *, on_hold: bool = False
) -> tuple[str, str] | None:
    entered = collecting.take(now, quiet, on_hold=on_hold)
    return None if entered is None else (entered.status, entered.digits)


class TestRequest:
    def test_read(self) -> None:
        given = '{"purpose":"the PIN","length":4,"secret":true}'
        assert read_request(given, secrets=True) == DigitRequest("the PIN", 4, True)
        assert read_request("", secrets=False) == DigitRequest("", None, False)
        nothing = '{"purpose":null,"length":null,"secret":null,"more":1}'
        assert read_request(nothing, secrets=False) == DigitRequest("", None, False)
        assert read_request('{"secret":false}', secrets=False) == DigitRequest("", None, False)
        long = read_request(f'{{"purpose":"{"x" * 999}"}}', secrets=False)
        assert isinstance(long, DigitRequest)
        assert len(long.purpose) == 200

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ("[]", "not a JSON object"),
            ("[" * 100_000, "not a JSON object"),
            ('{"purpose":5}', "purpose must be a text"),
            ('{"length":0}', "from 1 to 64"),
            ('{"length":65}', "from 1 to 64"),
            ('{"length":"4"}', "from 1 to 64"),
            ('{"length":true}', "from 1 to 64"),
            ('{"length":4.5}', "from 1 to 64"),
            ('{"secret":"yes"}', "true or false"),
            ('{"secret":true}', "cannot be collected"),
        ],
    )
    def test_mistakes(self, arguments: str, problem: str) -> None:
        told = read_request(arguments, secrets=False)
        assert isinstance(told, str)
        assert problem in told


class TestEntered:
    def test_what_the_model_reads(self) -> None:
        assert msgspec.json.decode(Entered("complete", "12").output(secret=False)) == {"digits": "12"}
        assert msgspec.json.decode(Entered("timeout", "").output(secret=False)) == {"digits": "", "status": "timeout"}
        assert msgspec.json.decode(Entered("too_short", "12").output(secret=True)) == {"status": "too_short"}

    def test_nobody_reads_the_digits_in_a_log(self) -> None:
        assert "4711" not in repr(Entered("complete", "4711")) + repr(enter("4711", collection()))


class TestComplete:
    def test_by_length(self) -> None:
        collecting = enter("123", collection(4))
        assert came(collecting, HEARD + 1) is None
        enter("4", collecting)
        assert collecting.due_at(None, on_hold=False) == 0.0
        enter("5*#", collecting)
        assert came(collecting, HEARD + 1) == ("complete", "1234")

    def test_by_the_terminator(self) -> None:
        assert came(enter("123#", collection()), HEARD + 1) == ("complete", "123")
        assert came(enter("12#3*", collection(terminator="*")), HEARD + 1) == ("complete", "3")

    def test_by_a_pause(self) -> None:
        collecting = enter("123", collection())
        assert came(collecting, HEARD + 4.9) is None
        assert collecting.due_at(HEARD, on_hold=False) == HEARD + 5
        assert came(collecting, HEARD + 5) == ("complete", "123")

    def test_by_the_most_digits(self) -> None:
        assert came(enter("1" * 99, collection()), HEARD + 1) == ("complete", "1" * MAX_DIGITS)

    def test_other_keys_mean_nothing(self) -> None:
        assert came(enter("1A2B#", collection()), HEARD + 1) == ("complete", "12")
        assert came(enter("1#2", collection(terminator=None)), HEARD + 5) == ("complete", "12")

    def test_the_star_clears(self) -> None:
        collecting = enter("99*", collection(3))
        assert came(enter("123", collecting), HEARD + 1) == ("complete", "123")

    def test_cleared_and_no_more(self) -> None:
        collecting = enter("99*", collection())
        assert came(collecting, HEARD + 10.9) is None
        assert came(collecting, HEARD + 11) == ("timeout", "")


class TestTooShort:
    @pytest.mark.parametrize("digits", ["12#", "#"])
    def test_ended_too_early(self, digits: str) -> None:
        assert came(enter(digits, collection(4)), HEARD + 1) == ("too_short", digits[:-1])

    def test_a_pause_too_early(self) -> None:
        assert came(enter("12", collection(4)), HEARD + 5) == ("too_short", "12")

    def test_nothing_but_the_terminator(self) -> None:
        assert came(enter("#", collection()), HEARD + 1) == ("too_short", "")


class TestTime:
    def test_begins_when_the_question_was_heard(self) -> None:
        collecting = collection()
        assert came(collecting, HEARD + 9, None) is None
        assert came(collecting, HEARD + 9, HEARD + 20) is None
        assert collecting.due_at(HEARD + 20, on_hold=False) == HEARD + 30
        assert came(collecting, HEARD + 29, HEARD + 20) is None
        assert came(collecting, HEARD + 30, HEARD + 20) == ("timeout", "")

    def test_the_question_is_not_waited_for_longer_than_a_minute(self) -> None:
        collecting = collection()
        due = HEARD - 3 + MAX_QUESTION + 10
        assert collecting.due_at(None, on_hold=False) == due
        assert came(collecting, due, None) == ("timeout", "")
        assert collection().due_at(HEARD + 999, on_hold=False) == due

    def test_total(self) -> None:
        collecting = collection(total=12.0)
        assert came(collecting, HEARD) is None
        for second in range(3, 12, 3):
            enter("1", collecting, HEARD + second)
        assert came(collecting, HEARD + 11.9) is None
        assert came(collecting, HEARD + 12) == ("timeout", "111")

    def test_total_from_the_first_key_of_who_did_not_wait(self) -> None:
        collecting = enter("1", collection(total=3.0), HEARD - 2)
        assert collecting.due_at(None, on_hold=False) == HEARD + 1

    def test_nobody_can_press_keys_on_hold(self) -> None:
        collecting = enter("12", collection(), HEARD + 1)
        assert came(collecting, HEARD + 30, None, on_hold=True) is None
        collecting.held(HEARD + 30)
        assert came(collecting, HEARD + 33.9) is None
        assert came(collecting, HEARD + 34) == ("complete", "12")
        waiting = collection()
        assert came(waiting, HEARD) is None
        waiting.held(HEARD + 30)
        assert waiting.due_at(None, on_hold=True) == HEARD + 60
        assert came(waiting, HEARD + 60, None, on_hold=True) == ("timeout", "")


class TestSpeech:
    def test_words_instead_of_digits(self) -> None:
        collecting = collection()
        collecting.speak()
        collecting.speak()
        assert came(collecting, HEARD, None) == ("caller_spoke", "")

    def test_words_beside_digits(self) -> None:
        collecting = enter("1", collection())
        collecting.speak()
        assert came(collecting, HEARD + 1) is None
