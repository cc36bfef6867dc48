import os
import time

import pytest

from offhook.gateway import scoreboard as module
from offhook.gateway.control import WorkerStatus, worker_statuses
from offhook.gateway.scoreboard import Scoreboard


def test_one_process_alone_needs_nobody_else() -> None:
    board = Scoreboard()
    assert (board.calls, board.draining, len(board.slots), list(board.occupied())) == (0, False, 1, [])
    board.slots[0].calls = 3
    assert board.calls == 3
    board.close()


@pytest.mark.parametrize("memfd", [True, False])
def test_what_one_process_writes_another_reads(monkeypatch: pytest.MonkeyPatch, memfd: bool) -> None:
    if not memfd:
        monkeypatch.delattr(os, "memfd_create")
    ours = Scoreboard.create(2)
    theirs = Scoreboard(2, os.dup(ours.fd))
    assert ours.free() is ours.slots[0]
    before = time.time()
    ours.slots[0].occupy(7, 4711)
    assert ours.free() is ours.slots[1]
    theirs.slots[0].calls, theirs.slots[0].ready = 2, True
    theirs.slots[1].calls, theirs.slots[1].leaving = 3, True
    assert ours.calls == 5
    assert (ours.slots[0].ready, ours.slots[0].leaving, ours.slots[1].ready, ours.slots[1].leaving) == (1, 0, 0, 1)
    ours.draining = True
    assert theirs.draining
    ours.slots[1].occupy(8, 4712)
    assert (ours.calls, ours.free()) == (2, None)  # what the slot's last process left is gone
    first, second = worker_statuses(theirs)
    assert first == WorkerStatus(number=7, pid=4711, calls=2, draining=False, started_at=first.started_at)
    assert before - 0.01 <= first.started_at <= time.time()
    assert (second.number, second.pid) == (8, 4712)
    ours.slots[0].clear()
    assert [slot.number for slot in theirs.occupied()] == [8]
    ours.close()
    ours.close()
    theirs.close()


def test_calls_are_shown_by_scope() -> None:
    ours, theirs = Scoreboard(2).slots
    ours.show("agent support", 2)
    ours.show("agent sales", 1)
    ours.show("agent support", 3)
    assert (ours.shown("agent support"), ours.shown("agent sales"), ours.shown("agent other")) == (3, 1, 0)
    assert theirs.shown("agent support") == 0
    ours.show("agent support", 0)
    assert ours.shown("agent support") == 0
    ours.clear()
    assert ours.shown("agent sales") == 0


def test_a_scope_without_room_is_not_shown_and_takes_no_other_scope_s_place() -> None:
    board = Scoreboard(2)
    slot = board.slots[1]
    slot.occupy(2, 4712)
    scopes = [f"organization {number}" for number in range(module.SETS * module.WAYS * 2)]
    for scope in scopes:
        slot.show(scope, 1)
    shown = [scope for scope in scopes if board.shown(scope)]
    assert module.SETS * module.WAYS // 2 < len(shown) < len(scopes)
    assert board.shown(shown[0], but=slot) == 0
    # Whoever has no calls any more makes room.
    for scope in shown:
        slot.show(scope, 0)
    late = [scope for scope in scopes if scope not in shown]
    slot.show(late[0], 5)
    assert board.shown(late[0]) == 5
    assert board.slots[0].shown(late[0]) == 0
