"""Stores feature maps in one file of equal slots, and a note on each slot in a journal.

A slot is valid when the journal has an entry with the checksum of its bytes. A kill or a power cut loses at most what
was being written; the next process continues from there.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
import zlib
from io import FileIO

import numpy as np
from numpy.typing import NDArray

from edge_autotuner.core.clock import Deadline
from edge_autotuner.core.progress import Progress
from edge_autotuner.storage.atomic import write_all

logger = logging.getLogger(__name__)

HalfArray = NDArray[np.float16]

_HALF_BYTES = 2
_ENTRY = struct.Struct("<IIII")  # slot, checksum of its features, length of its note, checksum of entry and note


def slot_bytes(n_values: int) -> int:
    """Return the size of a slot on disk: float16 values, padded to the allocation granularity of maps."""
    step = mmap.ALLOCATIONGRANULARITY
    return -(-n_values * _HALF_BYTES // step) * step


class FeatureStore:
    """The slots of one training; for one process and thread at a time.

    Only a slot that is read is mapped into memory, while its array exists: a cache of many gigabytes does not count as
    memory of this process. Slots are written with `write`, where a full disk raises `OSError`; writing through a map
    would kill the process (SIGBUS).
    """

    def __init__(self, features: FileIO, journal: FileIO, *, n_slots: int, n_values: int) -> None:
        """Take two files open for reading and writing; the first has the length of `n_slots` slots."""
        self._features, self._journal = features, journal
        self._n_slots, self._n_values = n_slots, n_values
        self._notes: dict[int, bytes] = {}

    @property
    def slots(self) -> tuple[int, ...]:
        """The valid slots."""
        return tuple(self._notes)

    def __contains__(self, slot: int) -> bool:
        return slot in self._notes

    def recover(self, deadline: Deadline, progress: Progress) -> None:
        """Find and check the slots that an earlier process wrote.

        Slots are dropped when damaged, after a damaged entry of the journal, or not yet checked when the deadline
        passes. Progress is reported as notes: the task is the caller's.
        """
        entries = self._read_journal()
        n_damaged = 0
        for n_checked, (slot, (checksum, note)) in enumerate(entries.items()):
            if deadline.has_passed:
                break
            progress.advance(0, note=f"checking cached features: {n_checked} of {len(entries)}")
            if zlib.crc32(self.values(slot).data) == checksum:
                self._notes[slot] = note
            else:
                n_damaged += 1
        if n_damaged:
            logger.warning("%d of %d cached feature maps are damaged; recomputing", n_damaged, len(entries))

    def write(self, slot: int, values: HalfArray, note: bytes) -> None:
        """Store the (n_values,) features of a slot, and a note.

        Raises:
            OSError: the disk is full or refuses; the slot stays empty, and nothing more may be written.
        """
        data = values.tobytes()
        if slot >= self._n_slots or len(data) != self._n_values * _HALF_BYTES:
            raise ValueError(
                f"expected {self._n_values} values for one of {self._n_slots} slots, got {len(values)} for slot {slot}"
            )
        os.lseek(self._features.fileno(), slot * slot_bytes(self._n_values), os.SEEK_SET)
        write_all(self._features.fileno(), data)
        os.lseek(self._journal.fileno(), 0, os.SEEK_END)
        write_all(self._journal.fileno(), _entry(slot, zlib.crc32(data), note))
        self._notes[slot] = note

    def values(self, slot: int) -> HalfArray:
        """Return the (n_values,) features of a slot, mapped from the file; changes to the array are not written."""
        offset = slot * slot_bytes(self._n_values)
        return np.memmap(self._features, np.float16, "c", offset=offset, shape=(self._n_values,))

    def note(self, slot: int) -> bytes:
        """Return the note of a slot.

        Raises:
            KeyError: the slot is empty.
        """
        return self._notes[slot]

    def close(self) -> None:
        """Close the files."""
        self._features.close()
        self._journal.close()

    def _read_journal(self) -> dict[int, tuple[int, bytes]]:
        """Return checksum and note of each slot, and truncate the journal after the last whole entry."""
        self._journal.seek(0)
        data = self._journal.read()
        entries: dict[int, tuple[int, bytes]] = {}
        end = 0
        while end + _ENTRY.size <= len(data):
            slot, checksum, length, _ = _ENTRY.unpack_from(data, end)
            following = end + _ENTRY.size + length
            note = data[end + _ENTRY.size : following]
            if slot >= self._n_slots or data[end:following] != _entry(slot, checksum, note):
                break
            entries[slot] = checksum, note
            end = following
        if end < len(data):
            logger.warning(
                "the journal of the feature cache ends at byte %d of %d with a damaged entry", end, len(data)
            )
            self._journal.truncate(end)
        return entries


def _entry(slot: int, checksum: int, note: bytes) -> bytes:
    head = struct.pack("<III", slot, checksum, len(note))
    return _ENTRY.pack(slot, checksum, len(note), zlib.crc32(head + note)) + note
