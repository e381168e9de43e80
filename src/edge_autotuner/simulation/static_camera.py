"""A simulated fixed camera over a street, with the exact box of every car and person."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_autotuner.core import Detections, Frame, SourceBase, SourceInfo
from edge_autotuner.core.sources import do_nothing
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.simulation.actors import plan_actors, plan_event_actors
from edge_autotuner.simulation.painting import (
    Placed,
    owners,
    paint_actor_in_place,
    paint_cast_shadow_in_place,
    paint_contact_shadow_in_place,
)
from edge_autotuner.simulation.recording import write_coco_truth, write_video_file
from edge_autotuner.simulation.scene_events import SceneEvent, is_night_at, light_at, require_in_video, shift_at
from edge_autotuner.simulation.scenery import draw_street
from edge_autotuner.simulation.weather import Clouds, Conditions, SwayingTrees, infrared, paint_rain_in_place

_MIN_SIDE_PX, _MAX_SIDE_PX = 64, 7680  # at most 8K: a picture takes several arrays of floats
_MIN_VISIBLE = 0.2  # an object of which more than 80 % is hidden or outside is no truth ...
_LARGE = 0.05  # ... unless what is seen of it fills this share of the frame
_N_NOISE_FIELDS = 4
_LIGHT_SWING, _LIGHT_PERIOD_S = 0.06, 90.0  # slow change of brightness, share


class SimulatedCamera(SourceBase):
    """Cars and people that move over a still street, as a `FrameSource`.

    The same arguments give the same pictures. Every 15 s or so the street is empty for 3 s; the first frames
    are empty too. Brightness swings slowly and the sensor is noisy. Weather and scripted events can be added;
    the truth follows them.

    Args:
        size_wh: even numbers of pixels, at least 64.
        n_frames: length, at least 2.
        rate_hz: frames per second.
        seed: of everything random.
        n_objects: how many cars and people pass; None for about six in 15 s.
        conditions: wind, shadows, rain and noise.
        events: what happens to the scene, in any order; trucks and parked cars come on top of `n_objects`.
    """

    def __init__(
        self,
        size_wh: SizeWH = (480, 272),
        n_frames: int = 600,
        rate_hz: float = 10.0,
        seed: int = 0,
        n_objects: int | None = None,
        *,
        conditions: Conditions = Conditions(),  # noqa: B008 (frozen)
        events: Sequence[SceneEvent] = (),
    ) -> None:
        if min(size_wh) < _MIN_SIDE_PX or max(size_wh) > _MAX_SIDE_PX or size_wh[0] % 2 or size_wh[1] % 2:
            wanted = f"even sides of {_MIN_SIDE_PX} to {_MAX_SIDE_PX} pixels"
            raise ValueError(f"expected a size with {wanted}, got {size_wh[0]}x{size_wh[1]}")
        if n_frames < 2 or rate_hz <= 0 or (n_objects or 0) < 0:
            raise ValueError(f"need n_frames >= 2, rate_hz > 0, n_objects >= 0, got {n_frames}, {rate_hz}, {n_objects}")
        require_in_video(events, n_frames)
        settings = f"street {size_wh} {n_frames} {rate_hz} {seed} {n_objects}"
        if conditions != Conditions() or events:
            settings += f" {conditions} {tuple(events)}"
        digest = hashlib.sha256(settings.encode()).hexdigest()
        self.info = SourceInfo("video", f"simulated-{seed}", size_wh, n_frames, rate_hz, digest)
        self._n_frames = n_frames
        self._seed = seed
        self._conditions = conditions
        self._events = tuple(events)
        self._street = draw_street(size_wh, np.random.default_rng([seed, 0]))
        actors = plan_actors(size_wh, n_frames, rate_hz, n_objects, seed)
        actors += plan_event_actors(events, size_wh, rate_hz, seed)
        self._actors = sorted(actors, key=lambda actor: actor.ground_y)  # far to near
        noise_shape = (_N_NOISE_FIELDS, size_wh[1], size_wh[0], 3)
        noise = np.random.default_rng([seed, 2]).standard_normal(noise_shape, dtype=np.float32)
        self._noise = noise * np.float32(conditions.noise_levels)
        self._trees = self._clouds = None
        if conditions.sway > 0:
            self._trees = SwayingTrees(self._street, conditions.sway, np.random.default_rng([seed, 5]))
        if conditions.clouds > 0:
            self._clouds = Clouds(size_wh, conditions.clouds, np.random.default_rng([seed, 6]))

    @property
    def street_bgr(self) -> ImageArray:
        """The (H, W, 3) uint8 empty street, without noise, in mean light."""
        return self._street.image_bgr.copy()

    def frames(self, *, while_waiting: Callable[[], None] = do_nothing) -> Iterator[Frame]:
        """Yield all frames in order."""
        return (self.frame(index) for index in range(self._n_frames))

    def frame(self, index: int) -> Frame:
        """Return one frame."""
        self._require_index(index)
        image_bgr = self._render(index)
        luma = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY)
        return Frame(index, index / self.info.rate_hz, luma, lambda: image_bgr)

    def truth(self, index: int) -> Detections:
        """Return the exact boxes, whole frame pixels, of the objects that are seen.

        An object is seen when at least 20 % of its pixels are, or when they fill 5 % of the frame. Its box encloses
        the whole of it, hidden parts included, cut at the border of the frame. Classes are those of `STREET_6`,
        scores are 1.
        """
        self._require_index(index)
        placed = self._placed(index)
        owner = owners(placed, self.info.size_wh)
        seen = [
            (one.box_in_frame(self.info.size_wh), one.class_id)
            for number, one in enumerate(placed)
            if (owner == number).sum() >= min(_MIN_VISIBLE * one.solid.sum(), _LARGE * owner.size)
        ]
        boxes = np.array([box for box, _ in seen], np.float32).reshape(-1, 4)
        return Detections(boxes, np.ones(len(seen), np.float32), np.array([c for _, c in seen], np.int64))

    def write_video(self, path: Path) -> None:
        """Encode all frames as a video file, H.264 where the encoder is there, else MPEG-4.

        Raises:
            StorageError: the file cannot be written.
        """
        write_video_file(path, (frame.image_bgr for frame in self.frames()), self.info)

    def write_ground_truth(self, path: Path) -> None:
        """Write the truth of all frames as COCO JSON, frames named by `frame_index`.

        Raises:
            StorageError: the file cannot be written.
        """
        write_coco_truth(path, (self.truth(index) for index in range(self._n_frames)), self.info)

    def _require_index(self, index: int) -> None:
        if not 0 <= index < self._n_frames:
            raise ValueError(f"frame index must be in 0..{self._n_frames - 1}, got {index}")

    def _placed(self, index: int) -> list[Placed]:
        shift_xy = shift_at(self._events, index)
        return [actor.placed_at(index, shift_xy) for actor in self._actors if actor.is_present(index)]  # far to near

    def _render(self, index: int) -> ImageArray:
        image = self._empty_street(index)
        for placed in self._placed(index):
            if self._conditions.cast_shadows > 0:
                paint_cast_shadow_in_place(image, placed, self._conditions.cast_shadows)
            paint_contact_shadow_in_place(image, placed)
            paint_actor_in_place(image, placed)
        if self._conditions.rain > 0:
            paint_rain_in_place(image, self._conditions.rain, np.random.default_rng([self._seed, 7, index]))
        if is_night_at(self._events, index):
            image = infrared(image)
        return self._expose(image, index)

    def _empty_street(self, index: int) -> ImageArray:
        time_s = index / self.info.rate_hz
        street = self._trees.at(time_s) if self._trees else self._street.image_bgr
        dx, dy = shift_at(self._events, index)
        return _shifted(street, dx, dy)

    def _expose(self, image: ImageArray, index: int) -> ImageArray:
        """Return the (H, W, 3) uint8 picture in the light of this frame, with sensor noise."""
        swing = math.sin(2 * math.pi * index / self.info.rate_hz / _LIGHT_PERIOD_S)
        gain, offset = light_at(self._events, index)
        brightness = (1 + _LIGHT_SWING * swing) * gain * self._flicker_at(index)
        lit = image * np.float32(brightness)
        if self._clouds and not is_night_at(self._events, index):
            lit *= self._clouds.gain_at(index / self.info.rate_hz)
        lit += np.float32(offset) + self._noise_of(index)
        return np.asarray(np.clip(lit, 0, 255), np.uint8)

    def _flicker_at(self, index: int) -> float:
        return 1 + self._conditions.flicker * float(np.random.default_rng([self._seed, 8, index]).standard_normal())

    def _noise_of(self, index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        """Return one of a few noise fields, shifted, which is much faster than new random numbers."""
        rng = np.random.default_rng([self._seed, 3, index])
        field = self._noise[int(rng.integers(_N_NOISE_FIELDS))]
        dy, dx = (int(v) for v in rng.integers(field.shape[:2]))
        return np.roll(field, (dy, dx), axis=(0, 1))


def _shifted(image: ImageArray, dx: int, dy: int) -> ImageArray:
    """Return a copy shifted right by `dx` and down by `dy` pixels; the border is mirrored."""
    height, width = image.shape[:2]
    rows = np.pad(np.arange(height), (abs(dy), abs(dy)), "reflect")[abs(dy) - dy :][:height]
    columns = np.pad(np.arange(width), (abs(dx), abs(dx)), "reflect")[abs(dx) - dx :][:width]
    return image[rows[:, None], columns]
