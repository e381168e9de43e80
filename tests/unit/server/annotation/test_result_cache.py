"""Results in memory and on disk: they come back exactly, both places are bounded, and a bad file does no harm."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.core import Detections, FakeClock
from edge_autotuner.core.box_codec import BOX_CODEC
from edge_autotuner.server.annotation.result_cache import ResultCache, ResultKey
from edge_autotuner.server.annotation.result_store import ResultStore

MB = 1_000_000


def key(number: int, **changes: str) -> ResultKey:
    values = {"picture_sha256": f"{number:064x}", "model_sha256": "cd" * 32, "settings": "s1"}
    return ResultKey(**{**values, **changes})


def found(n: int = 2, seed: int = 0) -> Detections:
    rng = np.random.default_rng(seed)
    return Detections(rng.random((n, 4)) * 100, rng.random(n), rng.integers(0, 80, n))


def same(one: Detections | None, other: Detections) -> bool:
    return one is not None and one.equals(other)


@pytest.mark.parametrize("n", [0, 1, 300])
def test_detections_come_back_exactly(n: int) -> None:
    back = BOX_CODEC.from_bytes(BOX_CODEC.to_bytes(found(n)))
    assert same(back, found(n))
    assert (back.boxes_xyxy.dtype, back.scores.dtype, back.class_ids.dtype) == (np.float32, np.float32, np.int64)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_detections_or_refused(content: bytes) -> None:
    try:
        assert BOX_CODEC.to_bytes(BOX_CODEC.from_bytes(content)) == content
    except ValueError:
        return


def test_a_result_belongs_to_picture_model_and_settings() -> None:
    cache = ResultCache(MB)
    cache.put(key(1), found())
    assert same(cache.get(key(1)), found())
    assert cache.get(key(2)) is None
    assert cache.get(key(1, model_sha256="ef" * 32)) is None
    assert cache.get(key(1, settings="s2")) is None


def test_memory_is_bounded_and_the_least_recently_used_leaves() -> None:
    cache = ResultCache(1000)
    for number in range(3):
        cache.put(key(number), found(1))  # 294 bytes each, with what is added for an entry
    assert cache.get(key(0)) is not None
    cache.put(key(3), found(1))
    assert [number for number in range(4) if cache.get(key(number))] == [0, 2, 3]
    assert cache.n_bytes <= 1000
    cache.put(key(4), found(300))
    assert cache.get(key(4)) is None, "larger than everything that may be kept"
    assert cache.get(key(0)) is not None


def test_the_same_result_twice_counts_once() -> None:
    cache = ResultCache(MB)
    cache.put(key(1), found())
    size = cache.n_bytes
    cache.put(key(1), found())
    assert cache.n_bytes == size


def test_a_cache_without_memory_keeps_nothing() -> None:
    cache = ResultCache(0)
    cache.put(key(1), found())
    assert cache.get(key(1)) is None
    assert cache.n_bytes == 0


def test_results_on_disk_survive_a_restart(tmp_path: Path) -> None:
    for memory in (MB, 0):
        cache = ResultCache(memory, ResultStore(tmp_path / "results.sqlite", MB))
        if memory:
            cache.put(key(1), found())
        assert same(cache.get(key(1)), found())
        cache.close()
    cache.close()


def test_the_disk_is_bounded_and_what_was_used_lately_stays(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    store = ResultStore(path, 100_000)
    first = key(0).to_bytes()
    store.put(first, BOX_CODEC.to_bytes(found(20)))
    for number in range(1, 2000):
        store.put(key(number).to_bytes(), BOX_CODEC.to_bytes(found(20)))
        if number % 50 == 0:
            store.close()  # what is pending is on disk now
            store = ResultStore(path, 100_000)
            assert store.get(first) is not None
    store.close()
    with sqlite3.connect(path) as connection:
        n_bytes, n_rows = connection.execute(
            "SELECT sum(length(key) + length(value)), count(*) FROM results"
        ).fetchone()
    connection.close()
    assert n_bytes <= 100_000
    assert n_rows > 100
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 400_000


def opened(path: Path, clock: FakeClock, max_age_s: float | None = 100.0) -> ResultStore:
    return ResultStore(path, MB, max_age_s=max_age_s, clock=clock)


def test_a_result_goes_when_its_picture_did_not_come_for_long(tmp_path: Path) -> None:
    clock, path = FakeClock(), tmp_path / "results.sqlite"
    used, unused = key(1).to_bytes(), key(2).to_bytes()
    store = opened(path, clock)
    store.put(used, b"one")
    store.put(unused, b"two")
    store.close()  # what is pending is on disk now
    clock.advance(60)
    store = opened(path, clock)
    assert store.get(used) == b"one"
    store.close()
    clock.advance(60)
    store = opened(path, clock)
    store.forget_old()
    store.close()
    store = opened(path, clock)
    assert (store.get(used), store.get(unused)) == (b"one", None)
    store.close()


def test_results_without_a_limit_stay(tmp_path: Path) -> None:
    clock, path = FakeClock(), tmp_path / "results.sqlite"
    store = opened(path, clock, max_age_s=None)
    store.put(key(1).to_bytes(), b"one")
    clock.advance(1e9)
    store.forget_old()
    store.close()
    store = opened(path, clock)
    assert store.get(key(1).to_bytes()) == b"one"
    store.close()


def test_a_result_of_a_clock_that_was_ahead_ages_as_well(tmp_path: Path) -> None:
    clock, path = FakeClock(elapsed_s=1e8), tmp_path / "results.sqlite"
    store = opened(path, clock)
    store.put(key(1).to_bytes(), b"one")
    store.close()
    clock.advance(-1e8)
    for expected in (b"one", None):
        store = opened(path, clock)
        store.forget_old()
        store.close()
        with sqlite3.connect(path) as connection:
            row = connection.execute("SELECT value FROM results").fetchone()
        connection.close()
        assert (None if row is None else row[0]) == expected
        clock.advance(101)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"this is no database" * 100, id="text"),
        pytest.param(b"", id="empty"),
        pytest.param(None, id="version"),
    ],
)
def test_a_file_that_is_not_usable_is_replaced(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "results.sqlite"
    if content is None:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    else:
        path.write_bytes(content)
    cache = ResultCache(0, ResultStore(path, MB))
    cache.put(key(1), found())
    cache.close()
    again = ResultCache(0, ResultStore(path, MB))
    assert same(again.get(key(1)), found())
    again.close()


def test_a_damaged_result_is_as_good_as_none(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "results.sqlite", MB)
    store.put(key(1).to_bytes(), b"damaged")
    store.close()
    cache = ResultCache(0, ResultStore(tmp_path / "results.sqlite", MB))
    assert cache.get(key(1)) is None
    cache.close()


def test_a_disk_that_refuses_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "results.sqlite").mkdir()
    cache = ResultCache(MB, ResultStore(tmp_path / "results.sqlite", MB))
    cache.put(key(1), found())
    assert same(cache.get(key(1)), found())
    cache.close()
    assert "result cache on disk is off" in caplog.text


def test_a_disk_without_room_gets_no_results_and_old_ones_go(tmp_path: Path) -> None:
    clock, rooms = FakeClock(), [True, False, False]
    store = ResultStore(tmp_path / "results.sqlite", MB, max_age_s=10, has_room=lambda: rooms.pop(0), clock=clock)
    store.put(b"one", b"1")
    wait_for_rooms(rooms, 2)
    clock.advance(11)
    store.put(b"two", b"2")
    wait_for_rooms(rooms, 1)
    store.forget_old()
    store.close()
    again = ResultStore(tmp_path / "results.sqlite", MB)
    assert [again.get(name) for name in (b"one", b"two")] == [None, None]
    again.close()


def wait_for_rooms(rooms: list[bool], n: int) -> None:
    for _ in range(20_000):
        if len(rooms) == n:
            return
        threading.Event().wait(0.005)
    raise AssertionError("the writer did not ask")


def test_a_writer_survives_what_it_does_not_expect(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fails = [True]

    def has_room() -> bool:
        if fails:
            fails.clear()
            raise RuntimeError("unexpected")
        return True

    store = ResultStore(tmp_path / "results.sqlite", MB, has_room=has_room)
    store.put(b"one", b"1")
    while "results are not written" not in caplog.text:
        threading.Event().wait(0.005)
    store.put(b"two", b"2")
    store.close()
    again = ResultStore(tmp_path / "results.sqlite", MB)
    assert [again.get(name) for name in (b"one", b"two")] == [None, b"2"]
    again.close()
