"""A replay reservoir: a folder of limited size with earlier labelled pictures that a training can show again.

index.jsonl   the truth: a header, then one checked record per picture (see `journal`); replaced as a whole
pictures/     the files, named by their SHA-256; each is on disk before the index names it
.lock         held by the one process that writes

A kill at any moment leaves the index before or after a change; files that it does not name are deleted with the
next change.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset.pictures import decode_sized, hash_bytes, read_unchanged
from edge_autotuner.dataset.replay_balance import Candidate, choose_kept
from edge_autotuner.dataset.replay_records import ReplayOrigin, ReplayPicture
from edge_autotuner.errors import DatasetError
from edge_autotuner.storage.atomic import atomic_write_bytes, make_folder, remove_temporaries
from edge_autotuner.storage.journal import encode_line, read_journal
from edge_autotuner.storage.lock import LOCK_NAME, FolderLock
from edge_autotuner.storage.paths import child_path

INDEX_NAME = "index.jsonl"
OWN_NAMES = frozenset({INDEX_NAME, LOCK_NAME})
"""Of which every reservoir has at least one, also one that a killed process has begun."""
FORMAT_VERSION = 1
GENERIC_QUOTA = 0.5  # most of the places that generic pictures take; what they leave free is the camera's
_LOCK_WAIT_S = 60.0  # a writer holds the lock for seconds: it copies files that are there
_OUR_NAMES = {INDEX_NAME, LOCK_NAME, "pictures"}


@dataclass(frozen=True)
class ReplayLimits:
    """How large a reservoir may become.

    Attributes:
        max_pictures: most pictures, at least 1.
        max_mb: most megabytes (10^6 bytes) of pictures.
    """

    max_pictures: int = 500
    max_mb: float = 200.0

    def changed(self, max_pictures: int | None, max_mb: float | None) -> ReplayLimits:
        """Return these limits with those replaced that are not None."""
        return ReplayLimits(max_pictures or self.max_pictures, max_mb or self.max_mb)


@dataclass(frozen=True, eq=False)
class ReplayOffer:
    """A picture that a reservoir may take.

    Attributes:
        picture: what is known of it; its `sha256` and `n_bytes` are those of the bytes that `read` returns.
        read: returns the bytes of its file; called only for a picture that is taken.
    """

    picture: ReplayPicture
    read: Callable[[], bytes]


@dataclass(frozen=True)
class _Index:
    """Everything that the index file says."""

    limits: ReplayLimits
    seed: int
    pictures: tuple[ReplayPicture, ...] = ()
    offers: tuple[str, ...] = ()


class ReplayReservoir:
    """One reservoir folder: new, empty, or holding a reservoir. Nothing is read or made before it is needed.

    Reading needs no lock; each change takes it while it lasts, and waits at most `wait_s` for another writer.
    """

    def __init__(self, folder: Path, *, wait_s: float = _LOCK_WAIT_S) -> None:
        self.folder = folder
        self._wait_s = wait_s

    @property
    def exists(self) -> bool:
        """Whether the folder holds a reservoir."""
        return (self.folder / INDEX_NAME).is_file()

    @property
    def limits(self) -> ReplayLimits:
        """How large it may become."""
        return self._read_index().limits

    def pictures(self) -> list[ReplayPicture]:
        """Return the stored pictures, sorted by frame.

        Raises:
            DatasetError: there is no reservoir, or its index is damaged.
        """
        return list(self._read_index().pictures)

    def digest(self) -> str:
        """Return a hash of all pictures and labels."""
        lines = b"".join(encode_line(picture.to_json()) for picture in self.pictures())
        return hash_bytes(lines)

    def read_bytes(self, picture: ReplayPicture) -> bytes:
        """Return a picture's file.

        Raises:
            DatasetError: it is missing or was changed.
        """
        return read_unchanged(self.picture_path(picture), picture.sha256, remedy=f"delete the folder {self.folder}")

    def read_image(self, picture: ReplayPicture) -> ImageArray:
        """Return the (H, W, 3) BGR picture.

        Raises:
            DatasetError: as `read_bytes`, or it is not a picture of the recorded size.
        """
        return decode_sized(self.read_bytes(picture), self.picture_path(picture), picture.size_wh)

    def picture_path(self, picture: ReplayPicture) -> Path:
        """Return where the file of a picture is.

        Raises:
            DatasetError: its name leads out of the reservoir.
        """
        return child_path(self.folder, *picture.file.split("/"), error=DatasetError)

    def has_offer(self, offer_id: str) -> bool:
        """Whether an offer of this name was made, see `offer`.

        Raises:
            DatasetError: the index is damaged.
        """
        return self.exists and offer_id in self._read_index().offers

    def offer(
        self,
        offers: Sequence[ReplayOffer],
        *,
        offer_id: str | None = None,
        max_pictures: int | None = None,
        max_mb: float | None = None,
        seed: int = 0,
    ) -> int:
        """Take new pictures, and drop others until the limits hold; create the reservoir where there is none.

        A frame that is there stays as it is. Generic pictures take at most half of the places; the camera's own take
        all that is left. Which stay is decided by `replay_balance`, separately for the two.

        Args:
            offers: new pictures; may be empty.
            offer_id: names the whole offer; one that was made before is ignored. None: nothing is remembered.
            max_pictures: new limit from now on, at least 1; None: as it is.
            max_mb: likewise.
            seed: of a new reservoir; decides between equals.

        Returns:
            How many of the offered pictures were taken.

        Raises:
            DatasetError: the folder holds something else, is damaged, another process is writing for too long, or an
                offered file was changed since it was recorded.
            StorageError: the disk refused; the reservoir is as it was before.
        """
        with self._writing():
            old = self._read_index() if self.exists else _Index(ReplayLimits(), seed)
            if offer_id is not None and offer_id in old.offers:
                return 0
            limits = old.limits.changed(max_pictures, max_mb)
            fresh = _unknown(offers, old.pictures)
            kept = _choose([*old.pictures, *(offer.picture for offer in fresh)], limits, old.seed)
            taken = [offer for offer in fresh if offer.picture.frame_id in {p.frame_id for p in kept}]
            for offer in taken:
                self._store(offer)
            done = old.offers if offer_id is None else (*old.offers, offer_id)
            self._write_index(replace(old, limits=limits, pictures=tuple(kept), offers=done))
            return len(taken)

    def forget(self, *, before: datetime) -> int:
        """Delete the pictures that were stored before a moment (aware); return how many.

        Raises:
            DatasetError: the reservoir is damaged, or another process is writing for too long.
            StorageError: the disk refused.
        """
        with self._writing():
            index = self._read_index()
            kept = tuple(p for p in index.pictures if _stored_at(self.picture_path(p)) >= before)
            if len(kept) < len(index.pictures):
                self._write_index(replace(index, pictures=kept))
        return len(index.pictures) - len(kept)

    def snapshot(self, folder: Path) -> ReplayReservoir:
        """Copy the reservoir as it is now into a folder, by links where possible.

        A reservoir that is there already is returned as it is. Where there is no reservoir yet, the snapshot is empty.

        Raises:
            DatasetError: a file is missing or was changed, or another process is writing for too long.
            StorageError: the snapshot cannot be written.
        """
        copy = ReplayReservoir(folder)
        if copy.exists:
            return copy
        make_folder(folder / "pictures")
        with self._writing():
            index = self._read_index() if self.exists else _Index(ReplayLimits(), 0)
            for picture in index.pictures:
                _link_or_write(self.picture_path(picture), copy.picture_path(picture), self.read_bytes(picture))
        copy._write_index(index)
        return copy

    @contextmanager
    def _writing(self) -> Iterator[None]:
        make_folder(self.folder)
        _refuse_foreign_folder(self.folder)
        lock = FolderLock.within(self.folder, self._wait_s)
        try:
            for name in ("", "pictures"):
                make_folder(self.folder / name)
                remove_temporaries(self.folder / name)
            yield
        finally:
            lock.release()

    def _store(self, offer: ReplayOffer) -> None:
        data = offer.read()
        if hash_bytes(data) != offer.picture.sha256:
            raise DatasetError(f"the picture of frame {offer.picture.frame_id} was modified after it was recorded")
        atomic_write_bytes(self.picture_path(offer.picture), data)

    def _read_index(self) -> _Index:
        path = self.folder / INDEX_NAME
        if not path.is_file():
            raise DatasetError(f"{self.folder} is not a replay reservoir ({INDEX_NAME} is missing)")
        records = read_journal(path).records
        try:
            return _parse(records)
        except (KeyError, TypeError, ValueError) as exc:
            raise DatasetError(f"{path} is damaged ({exc!r}); restore it, or delete the folder") from exc

    def _write_index(self, index: _Index) -> None:
        header = {
            "format_version": FORMAT_VERSION,
            "limits": asdict(index.limits),
            "seed": index.seed,
            "offers": list(index.offers),
            "n_pictures": len(index.pictures),
        }
        ordered = sorted(index.pictures, key=lambda picture: picture.frame_id)
        records: list[dict[str, Any]] = [header, *(picture.to_json() for picture in ordered)]
        atomic_write_bytes(self.folder / INDEX_NAME, b"".join(encode_line(record) for record in records))
        named = {self.picture_path(picture).name for picture in ordered}
        for path in (self.folder / "pictures").iterdir():
            if path.name not in named:
                with suppress(FileNotFoundError):
                    path.unlink()


def _parse(records: Sequence[dict[str, Any]]) -> _Index:
    """Read the records of an index.

    Raises:
        KeyError, TypeError, ValueError: something is missing or makes no sense.
    """
    if not records:
        raise ValueError("no whole line")
    header, *rest = records
    if header["format_version"] != FORMAT_VERSION:
        raise ValueError(f"format {header['format_version']}, this version reads format {FORMAT_VERSION}")
    if header["n_pictures"] != len(rest):
        raise ValueError(f"{header['n_pictures']} pictures expected, {len(rest)} found")
    limits = ReplayLimits(int(header["limits"]["max_pictures"]), float(header["limits"]["max_mb"]))
    pictures = tuple(ReplayPicture.from_json(record) for record in rest)
    return _Index(limits, int(header["seed"]), pictures, tuple(header["offers"]))


def _unknown(offers: Sequence[ReplayOffer], there: Sequence[ReplayPicture]) -> list[ReplayOffer]:
    """Return the offers whose frame, or the very same picture, is not there yet; each once."""
    names = {name for picture in there for name in (picture.frame_id, picture.sha256)}
    fresh = []
    for offer in offers:
        own_names = {offer.picture.frame_id, offer.picture.sha256}
        if not own_names & names:
            names |= own_names
            fresh.append(offer)
    return fresh


def _choose(pictures: Sequence[ReplayPicture], limits: ReplayLimits, seed: int) -> list[ReplayPicture]:
    """Select the pictures to keep: generic ones up to their quota, then the camera's own."""
    max_bytes = int(limits.max_mb * 1e6)
    generic = _thin(pictures, "generic", int(limits.max_pictures * GENERIC_QUOTA), int(max_bytes * GENERIC_QUOTA), seed)
    left_bytes = max_bytes - sum(picture.n_bytes for picture in generic)
    own = _thin(pictures, "replay", limits.max_pictures - len(generic), left_bytes, seed)
    return [*generic, *own]


def _thin(
    pictures: Sequence[ReplayPicture], origin: ReplayOrigin, max_pictures: int, max_bytes: int, seed: int
) -> list[ReplayPicture]:
    members = [picture for picture in pictures if picture.origin == origin]
    candidates = [Candidate(p.key(seed), p.labels.classes, p.era, p.n_bytes) for p in members]
    return [members[i] for i in choose_kept(candidates, max_pictures=max_pictures, max_bytes=max_bytes)]


def _stored_at(path: Path) -> datetime:
    """Return when a picture came here; long ago for one that is missing."""
    return datetime.fromtimestamp(path.stat().st_mtime if path.is_file() else 0.0, UTC)


def _refuse_foreign_folder(folder: Path) -> None:
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in _OUR_NAMES and path.name[0] != ".")
    if foreign and not (folder / INDEX_NAME).is_file():
        raise DatasetError(
            f"{folder} contains other files ({', '.join(foreign[:3])}) and no replay reservoir; choose another folder"
        )


def _link_or_write(path: Path, to: Path, data: bytes) -> None:
    """Give a file a second name, or write its bytes again: on another file system, or on one without links."""
    try:
        os.link(path, to)
    except OSError:
        atomic_write_bytes(to, data)
