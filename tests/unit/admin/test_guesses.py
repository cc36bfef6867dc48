from offhook.admin.guesses import (
    ALL_GUESSES,
    ALL_GUESSES_PER_SECOND,
    GUESSES,
    GUESSES_PER_SECOND,
    KNOWN_FOR,
    MAX_ADDRESSES,
    Guesses,
)


def test_an_address_may_guess_so_often_and_then_slowly() -> None:
    guesses = Guesses()
    for _ in range(GUESSES):
        assert guesses.wait("192.0.2.1", 0.0) == 0
        guesses.wrong("192.0.2.1", 0.0)
    assert guesses.wait("192.0.2.1", 0.0) == 1 / GUESSES_PER_SECOND
    assert guesses.wait("192.0.2.2", 0.0) == 0
    assert guesses.wait("192.0.2.1", 1 / GUESSES_PER_SECOND) == 0
    guesses.wrong("192.0.2.1", 1 / GUESSES_PER_SECOND)
    assert guesses.wait("192.0.2.1", 1 / GUESSES_PER_SECOND) > 0


def test_all_together_may_guess_so_often_but_who_is_known_is_not_locked_out() -> None:
    guesses = Guesses()
    guesses.right("198.51.100.1", 0.0)
    for number in range(ALL_GUESSES):
        guesses.wrong(f"203.0.113.{number}", 0.0)
    assert guesses.wait("192.0.2.1", 0.0) == 1 / ALL_GUESSES_PER_SECOND
    assert guesses.wait("198.51.100.1", 0.0) == 0
    assert guesses.wait("192.0.2.1", 1 / ALL_GUESSES_PER_SECOND) == 0
    for number in range(ALL_GUESSES):
        guesses.wrong(f"203.0.113.{number}", KNOWN_FOR)
    assert guesses.wait("198.51.100.1", KNOWN_FOR) > 0


def test_who_is_known_may_not_guess_either() -> None:
    guesses = Guesses()
    guesses.right("192.0.2.1", 0.0)
    for _ in range(GUESSES):
        guesses.wrong("192.0.2.1", 0.0)
    assert guesses.wait("192.0.2.1", 0.0) > 0


def test_half_of_an_ipv6_address_is_one_customer() -> None:
    guesses = Guesses()
    for number in range(GUESSES):
        guesses.wrong(f"2001:db8:1:2::{number:x}", 0.0)
    assert guesses.wait("2001:db8:1:2:ffff::1", 0.0) > 0
    assert guesses.wait("2001:db8:1:3::1", 0.0) == 0
    for _ in range(GUESSES):
        guesses.wrong("::ffff:192.0.2.1", 0.0)
    assert guesses.wait("192.0.2.1", 0.0) > 0
    assert guesses.wait("::ffff:192.0.2.2", 0.0) == 0


def test_memory_is_bounded() -> None:
    guesses = Guesses()
    for number in range(MAX_ADDRESSES + 50):
        address = f"10.0.{number // 256}.{number % 256}"
        guesses.wrong(address, float(number))
        guesses.right(address, float(number))
    guesses.wrong(None, 0.0)
    guesses.wrong("no address", 0.0)
    assert len(guesses) == 2 * MAX_ADDRESSES
