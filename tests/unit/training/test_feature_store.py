"""Slots on disk: what was written is read, and what was not written whole does not count."""

from __future__ import annotations

import errno
import logging
from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.core import Deadline
from edge_autotuner.core.clock import FakeClock
from edge_autotuner.core.progress import NoProgress
from edge_autotuner.training import feature_store
from edge_autotuner.training.feature_store import FeatureStore, HalfArray, slot_bytes

N_SLOTS, N_VALUES = 5, 300
NOTES = {3: b"three", 0: b"", 4: b"four" * 50}


def open_store(folder: Path) -> FeatureStore:
    mode = "r+" if (folder / "features").exists() else "w+"
    features, journal = FileIO(folder / "features", mode), FileIO(folder / "journal", mode)
    features.truncate(N_SLOTS * slot_bytes(N_VALUES))
    return FeatureStore(features, journal, n_slots=N_SLOTS, n_values=N_VALUES)


def values_of(slot: int) -> HalfArray:
    return np.random.default_rng(slot).normal(0, 100, N_VALUES).astype(np.float16)


def written(folder: Path) -> Path:
    store = open_store(folder)
    for slot, note in NOTES.items():
        store.write(slot, values_of(slot), note)
    store.close()
    return folder


def recovered(folder: Path) -> FeatureStore:
    store = open_store(folder)
    store.recover(Deadline(), NoProgress())
    return store


def check(store: FeatureStore, slots: set[int]) -> None:
    assert set(store.slots) == slots
    for slot in range(N_SLOTS):
        assert (slot in store) == (slot in slots)
    for slot in slots:
        assert store.values(slot).dtype == np.float16
        assert np.array_equal(store.values(slot), values_of(slot))
        assert store.note(slot) == NOTES[slot]
    store.close()


@pytest.mark.parametrize("n_values", [1, 2047, 2048, 2049, 100_000])
def test_slots_can_be_mapped_and_waste_little(n_values: int) -> None:
    size = slot_bytes(n_values)
    assert size % 4096 == 0
    assert 0 <= size - 2 * n_values < feature_store.mmap.ALLOCATIONGRANULARITY


def test_what_was_written_is_read_at_once_and_by_the_next_process(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write(3, values_of(3), NOTES[3])
    assert np.array_equal(store.values(3), values_of(3))
    store.write(0, values_of(0), NOTES[0])
    store.write(4, values_of(4), NOTES[4])
    check(store, {0, 3, 4})
    check(recovered(tmp_path), {0, 3, 4})


def test_an_empty_store_has_nothing(tmp_path: Path) -> None:
    store = recovered(tmp_path)
    with pytest.raises(KeyError):
        store.note(0)
    check(store, set())


def test_changes_to_an_array_are_not_written(tmp_path: Path) -> None:
    store = recovered(written(tmp_path))
    store.values(3)[:] = 0
    check(store, {0, 3, 4})
    check(recovered(tmp_path), {0, 3, 4})


def test_a_slot_can_be_written_again(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write(3, values_of(0), b"first")
    store.write(3, values_of(3), NOTES[3])
    check(store, {3})
    check(recovered(tmp_path), {3})


@pytest.mark.parametrize(("slot", "n_values"), [(N_SLOTS, N_VALUES), (0, N_VALUES - 1), (0, N_VALUES + 1)])
def test_what_does_not_fit_is_refused(slot: int, n_values: int, tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(ValueError, match=f"expected {N_VALUES} values for one of {N_SLOTS} slots, got {n_values}"):
        store.write(slot, np.zeros(n_values, np.float16), b"")
    check(store, set())


def test_a_kill_at_any_byte_of_the_journal_loses_only_what_follows(tmp_path: Path) -> None:
    whole = (written(tmp_path) / "journal").read_bytes()
    ends = np.cumsum([feature_store._ENTRY.size + len(note) for note in NOTES.values()])
    assert ends[-1] == len(whole)
    for cut in range(len(whole) + 1):
        (tmp_path / "journal").write_bytes(whole[:cut])
        check(recovered(tmp_path), {slot for slot, end in zip(NOTES, ends, strict=True) if end <= cut})
        assert (tmp_path / "journal").stat().st_size == max([0, *ends[ends <= cut]])


def test_after_a_kill_writing_goes_on(tmp_path: Path) -> None:
    journal = written(tmp_path) / "journal"
    journal.write_bytes(journal.read_bytes()[:-1])
    store = recovered(tmp_path)
    store.write(4, values_of(4), NOTES[4])
    check(store, {0, 3, 4})
    check(recovered(tmp_path), {0, 3, 4})


@pytest.mark.parametrize("position", range(0, 27, 3))
def test_a_changed_byte_of_the_journal_is_noticed(
    position: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = written(tmp_path) / "journal"
    data = bytearray(journal.read_bytes())
    data[position] ^= 255
    journal.write_bytes(data)
    kept = {3} if position >= feature_store._ENTRY.size + len(NOTES[3]) else set()
    check(recovered(tmp_path), kept)
    assert "damaged entry" in caplog.text


def test_changed_features_are_forgotten(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (written(tmp_path) / "features").open("r+b") as file:
        file.seek(4 * slot_bytes(N_VALUES) + 17)
        file.write(b"\x55")
    check(recovered(tmp_path), {0, 3})
    assert "1 of 3 cached feature maps are damaged; recomputing" in caplog.text


class Recorder(NoProgress):
    """Remembers the notes, and lets time pass with each; the task is that of whoever opened the store."""

    def __init__(self, clock: FakeClock) -> None:
        self.notes: list[str] = []
        self._clock = clock

    def start(self, task: str, total: int | None) -> None:
        raise AssertionError(f"started {task}")

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        assert steps == 0
        self.notes.append(note)
        self._clock.advance(1)

    def finish(self) -> None:
        raise AssertionError("finished")


def test_the_checking_tells_its_progress_and_keeps_the_deadline(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written(tmp_path)
    for budget_s, n_checked in ((None, 3), (2, 2), (0, 0)):
        clock = FakeClock()
        progress, store = Recorder(clock), open_store(tmp_path)
        store.recover(Deadline(budget_s, clock), progress)
        assert progress.notes == [f"checking cached features: {i} of 3" for i in range(n_checked)]
        check(store, set(list(NOTES)[:n_checked]))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_full_disk_leaves_the_slot_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = recovered(written(tmp_path))

    def full(handle: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(feature_store, "write_all", full)
    with pytest.raises(OSError, match="no space left"):
        store.write(1, values_of(1), b"one")
    check(store, {0, 3, 4})
