"""An event loop whose clock jumps: nobody waits, and everything happens at exact times."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any


class _Jumping(selectors.BaseSelector):
    """Looks at the sockets, and passes the time that nobody uses."""

    def __init__(self) -> None:
        self._inner = selectors.DefaultSelector()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = self._inner.select(0)
        if not found:
            assert timeout is not None, "nothing will ever happen"
            self.now += max(0.0, timeout)
        return found

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at 0; `time()` moves only when there is nothing to do."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._jumping.now


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on a loop of its own; none of its tasks may be left when it ends."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def alone() -> None:
            await test(*args, **kwargs)
            assert asyncio.all_tasks() == {asyncio.current_task()}, "a task was left behind"

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(alone())

    # pytest asks for the arguments of what it runs, and whether it is a coroutine.
    return run
