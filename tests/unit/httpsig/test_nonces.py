from offhook.httpsig import NonceMemory


def test_once_and_never_again_within_its_time() -> None:
    memory = NonceMemory(ttl=16)
    assert memory.remember("k", "n", 100.0)
    assert not memory.remember("k", "n", 100.0)
    assert not memory.remember("k", "n", 116.0)
    assert memory.remember("k", "n", 116.5)


def test_nonces_of_two_keys_are_apart() -> None:
    memory = NonceMemory()
    assert memory.remember("a", "n", 0.0)
    assert memory.remember("b", "n", 0.0)


def test_old_nonces_are_forgotten() -> None:
    memory = NonceMemory(ttl=16)
    for second in range(1000):
        assert memory.remember("k", str(second), float(second))
    assert len(memory) == 17


def test_a_full_memory_refuses_rather_than_forgets() -> None:
    memory = NonceMemory(ttl=16, capacity=2)
    assert memory.remember("k", "1", 0.0)
    assert memory.remember("k", "2", 10.0)
    assert not memory.remember("k", "3", 16.0)
    assert memory.remember("k", "3", 17.0)
    assert not memory.remember("k", "2", 17.0)


def test_a_clock_that_steps_back_forgets_nothing() -> None:
    memory = NonceMemory(ttl=16)
    assert memory.remember("k", "1", 100.0)
    assert memory.remember("k", "2", 50.0)
    assert not memory.remember("k", "2", 60.0)
    assert not memory.remember("k", "1", 116.0)
