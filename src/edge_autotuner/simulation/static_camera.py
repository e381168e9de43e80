"""A simulated fixed camera over a street, with the exact box of every car and person."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edge_autotuner.core import Detections, Frame, SourceInfo
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.simulation.actors import Actor, plan_actors
from edge_autotuner.simulation.recording import write_coco_truth, write_video_file
from edge_autotuner.simulation.scenery import draw_street

_MIN_SIDE_PX = 64
_MIN_VISIBLE = 0.2  # an object hidden by more than 80 % is no truth
_NOISE_LEVELS = 2.0  # standard deviation of the sensor noise, grey levels
_N_NOISE_FIELDS = 4
_LIGHT_SWING, _LIGHT_PERIOD_S = 0.06, 90.0  # slow change of brightness, share


class SimulatedCamera:
    """Cars and people that move over a still street, as a `FrameSource`.

    The same arguments give the same pictures. Every 15 s or so the street is empty for 3 s; the first frames
    are empty too. Brightness swings slowly and the sensor is noisy.
    """

    def __init__(
        self,
        size_wh: SizeWH = (480, 272),
        n_frames: int = 600,
        rate_hz: float = 10.0,
        seed: int = 0,
        n_objects: int | None = None,
    ) -> None:
        """Draw the scene and plan who passes.

        Args:
            size_wh: even numbers of pixels, at least 64.
            n_frames: length, at least 2.
            rate_hz: frames per second.
            seed: of everything random.
            n_objects: how many cars and people pass; None for about six in 15 s.
        """
        if min(size_wh) < _MIN_SIDE_PX or size_wh[0] % 2 or size_wh[1] % 2:
            raise ValueError(f"size_wh must be even and at least {_MIN_SIDE_PX}, got {size_wh}")
        if n_frames < 2 or rate_hz <= 0 or (n_objects or 0) < 0:
            raise ValueError(f"need n_frames >= 2, rate_hz > 0, n_objects >= 0, got {n_frames}, {rate_hz}, {n_objects}")
        settings = f"street {size_wh} {n_frames} {rate_hz} {seed} {n_objects}"
        digest = hashlib.sha256(settings.encode()).hexdigest()
        self._info = SourceInfo("video", f"simulated-{seed}", size_wh, n_frames, rate_hz, digest)
        self._seed = seed
        self._street = draw_street(size_wh, np.random.default_rng([seed, 0]))
        self._actors = plan_actors(size_wh, n_frames, rate_hz, n_objects, seed)
        noise_shape = (_N_NOISE_FIELDS, size_wh[1], size_wh[0], 3)
        self._noise = np.random.default_rng([seed, 2]).standard_normal(noise_shape, dtype=np.float32) * _NOISE_LEVELS

    @property
    def info(self) -> SourceInfo:
        """Facts about the simulated video."""
        return self._info

    @property
    def street_bgr(self) -> ImageArray:
        """The (H, W, 3) uint8 empty street, without noise, in mean light."""
        return self._street.copy()

    def frames(self) -> Iterator[Frame]:
        """Yield all frames in order."""
        return (self.frame(index) for index in range(self._info.n_frames))

    def frame(self, index: int) -> Frame:
        """Return one frame."""
        self._require_index(index)
        image_bgr = self._render(index)
        luma = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY)
        return Frame(index, index / self._info.rate_hz, luma, lambda: image_bgr)

    def truth(self, index: int) -> Detections:
        """Return the exact boxes, whole frame pixels, of the objects that are at least 20 % visible.

        Classes are those of `STREET_6`, scores are 1. A box encloses the whole object, hidden parts included,
        cut at the border of the frame.
        """
        self._require_index(index)
        present = self._present(index)
        owner = self._paint_owners(present, index)
        seen = [
            (_box_in_frame(actor, index, self._info.size_wh), actor.class_id)
            for number, actor in enumerate(present)
            if (owner == number).sum() >= _MIN_VISIBLE * _solid(actor, index).sum()
        ]
        boxes = np.array([box for box, _ in seen], np.float32).reshape(-1, 4)
        return Detections(boxes, np.ones(len(seen), np.float32), np.array([c for _, c in seen], np.int64))

    def write_video(self, path: Path) -> None:
        """Encode all frames as a video file, H.264 where the encoder is there, else MPEG-4.

        Raises:
            StorageError: the file cannot be written.
        """
        write_video_file(path, (frame.image_bgr for frame in self.frames()), self._info)

    def write_ground_truth(self, path: Path) -> None:
        """Write the truth of all frames as COCO JSON, frames named by `frame_index`.

        Raises:
            StorageError: the file cannot be written.
        """
        write_coco_truth(path, (self.truth(index) for index in range(self._info.n_frames)), self._info)

    def _require_index(self, index: int) -> None:
        if not 0 <= index < self._info.n_frames:
            raise ValueError(f"frame index must be in 0..{self._info.n_frames - 1}, got {index}")

    def _present(self, index: int) -> list[Actor]:
        return [actor for actor in self._actors if actor.is_present(index)]  # far to near

    def _render(self, index: int) -> ImageArray:
        image = self._street.copy()
        for actor in self._present(index):
            _paint_shadow_in_place(image, actor, index)
            _paint_actor_in_place(image, actor, index)
        swing = math.sin(2 * math.pi * index / self._info.rate_hz / _LIGHT_PERIOD_S)
        lit = image * np.float32(1 + _LIGHT_SWING * swing) + self._noise_of(index)
        return np.asarray(np.clip(lit, 0, 255), np.uint8)

    def _noise_of(self, index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        """Return one of a few noise fields, shifted, which is much faster than new random numbers."""
        rng = np.random.default_rng([self._seed, 3, index])
        field = self._noise[int(rng.integers(_N_NOISE_FIELDS))]
        dy, dx = (int(v) for v in rng.integers(field.shape[:2]))
        return np.roll(field, (dy, dx), axis=(0, 1))

    def _paint_owners(self, present: list[Actor], index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
        """Return (H, W): the position in `present` of the nearest object at each pixel, -1 for none."""
        width, height = self._info.size_wh
        owner = np.full((height, width), -1, np.int16)
        for number, actor in enumerate(present):
            in_frame, in_picture = _overlap(actor, index, (width, height))
            owner[in_frame][_solid(actor, index)[in_picture]] = number
        return owner


_Slices = tuple[slice, slice]


def _overlap(actor: Actor, index: int, size_wh: SizeWH) -> tuple[_Slices, _Slices]:
    """Return the rows and columns that an actor's picture shares with the frame, in both of them."""
    left, top = actor.corner_at(index)
    height, width = actor.picture_at(index).alpha.shape
    x1, x2 = (min(max(x, 0), size_wh[0]) for x in (left, left + width))
    y1, y2 = (min(max(y, 0), size_wh[1]) for y in (top, top + height))
    return (slice(y1, y2), slice(x1, x2)), (slice(y1 - top, y2 - top), slice(x1 - left, x2 - left))


def _solid(actor: Actor, index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return actor.picture_at(index).alpha >= 128


def _box_in_frame(actor: Actor, index: int, size_wh: SizeWH) -> tuple[int, int, int, int]:
    left, top = actor.corner_at(index)
    ys, xs = np.nonzero(_solid(actor, index))
    x1, x2 = (min(max(int(x) + left, 0), size_wh[0]) for x in (xs.min(), xs.max() + 1))
    y1, y2 = (min(max(int(y) + top, 0), size_wh[1]) for y in (ys.min(), ys.max() + 1))
    return x1, y1, x2, y2


def _paint_actor_in_place(image: ImageArray, actor: Actor, index: int) -> None:
    in_frame, in_picture = _overlap(actor, index, (image.shape[1], image.shape[0]))
    picture = actor.picture_at(index)
    alpha = picture.alpha[in_picture].astype(np.float32)[..., None] / 255
    image[in_frame] = np.rint(picture.image_bgr[in_picture] * alpha + image[in_frame] * (1 - alpha)).astype(np.uint8)


def _paint_shadow_in_place(image: ImageArray, actor: Actor, index: int) -> None:
    left, _ = actor.corner_at(index)
    width = actor.picture_at(index).alpha.shape[1]
    centre, axes = (left + width // 2, actor.ground_y - 1), (max(2, width // 2), max(1, width // 22))
    shade = np.zeros(image.shape[:2], np.uint8)
    cv2.ellipse(shade, centre, axes, 0, 0, 360, 1, -1)
    image[shade > 0] = (image[shade > 0] * 0.55).astype(np.uint8)
