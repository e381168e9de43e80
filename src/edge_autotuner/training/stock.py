"""Cuts out the objects of a camera that can be pasted, once before the training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge_autotuner.core.types import FloatArray, ImageArray, IntArray, SizeWH
from edge_autotuner.training.clean_plate import Lights, clean_plate, spread, time_windows
from edge_autotuner.training.cutouts import cut_out, object_mask
from edge_autotuner.training.samples import TrainingSample
from edge_autotuner.training.spots import ClassSpots, free_standing

_MAX_CANDIDATES = 400
_MAX_BYTES = 32 << 20  # of all cut-outs together, about

ReadPicture = Callable[[int], ImageArray]
_Label = tuple[int, int]  # sample, position among its labels


@dataclass(frozen=True, eq=False)
class Cutout:
    """An object that can be pasted.

    Attributes:
        image_bgra: (h, w, 4) its picture and opacity.
        to_frame: (2, 3) map from these pixels to those of its frame.
        box_xyxy: (4,) its label in that frame.
        class_id: its class.
        weight: of its label.
        window: index of the time window in which it was seen.
        spots: (P,) where it may go, indices into the spots of its class; P >= 1.
        resizes: (P,) factors of its size there.
    """

    image_bgra: ImageArray
    to_frame: FloatArray
    box_xyxy: FloatArray
    class_id: int
    weight: float
    window: int
    spots: IntArray
    resizes: FloatArray


@dataclass(frozen=True, eq=False)
class Stock:
    """The cutouts of one camera at one frame size.

    Attributes:
        cutouts: by class; no class is empty.
        class_ids: the classes.
        up_to: cumulative probability of each class; the last is 1.
        spots: by class.
        lights: of the time windows.
        window_of: time window of each sample.
    """

    cutouts: dict[int, list[Cutout]]
    class_ids: tuple[int, ...]
    up_to: FloatArray
    spots: dict[int, ClassSpots]
    lights: Lights
    window_of: dict[int, int]

    @property
    def n_cutouts(self) -> int:
        """Number of cutouts."""
        return sum(len(of_class) for of_class in self.cutouts.values())

    def draw(self, rng: np.random.Generator) -> Cutout:
        """Return a random object; rare classes are drawn more often than seen, but less often than frequent ones."""
        of_class = self.cutouts[self.class_ids[int(np.searchsorted(self.up_to, rng.random(), side="right"))]]
        return of_class[int(rng.integers(len(of_class)))]


def collect(
    samples: Sequence[TrainingSample],
    members: Sequence[int],
    read_picture: ReadPicture,
    *,
    detail: float,
    rng: np.random.Generator,
) -> Stock | None:
    """Cut out moving objects of a camera.

    Args:
        samples: training pictures.
        members: indices of the camera's samples of one frame size.
        read_picture: returns the picture of a sample.
        detail: pixels of plates and masks per frame pixel, at most 1.
        rng: source of randomness.

    Returns:
        None if there are too few pictures or nothing that moves could be cut out.
    """
    windows = [[members[i] for i in window] for window in time_windows([samples[i].time_s for i in members])]
    whole = _whole_objects(samples, members)
    if not windows or not whole:
        return None
    size_wh = samples[members[0]].size_wh
    plate_wh = max(1, round(size_wh[0] * detail)), max(1, round(size_wh[1] * detail))
    spots = {c: ClassSpots(_boxes(samples, labels), size_wh, rng) for c, labels in whole.items()}
    candidates = _candidates(samples, whole)
    plates: list[ImageArray] = []
    cutouts: dict[int, list[Cutout]] = {}
    for number, window in enumerate(windows):
        plates.append(_plate(samples, spread(np.array(window)), read_picture, plate_wh))
        inside = set(window)
        for sample, positions in candidates.items():
            if sample in inside:
                picture = read_picture(sample)
                for cutout in _cut(samples[sample], positions, picture, plates[-1], number, spots):
                    cutouts.setdefault(cutout.class_id, []).append(cutout)
    if not cutouts:
        return None
    summed = np.cumsum(np.sqrt([len(whole[class_id]) for class_id in cutouts]))
    window_of = {sample: number for number, window in enumerate(windows) for sample in window}
    return Stock(cutouts, tuple(cutouts), summed / summed[-1], spots, Lights(plates, size_wh), window_of)


def _whole_objects(samples: Sequence[TrainingSample], members: Sequence[int]) -> dict[int, list[_Label]]:
    """Return the labels that show whole objects, by class."""
    found: dict[int, list[_Label]] = {}
    for i in members:
        sample = samples[i]
        for position in free_standing(sample.boxes_xyxy, sample.ignored_xyxy, sample.size_wh):
            found.setdefault(int(sample.class_ids[position]), []).append((i, int(position)))
    return dict(sorted(found.items()))


def _candidates(samples: Sequence[TrainingSample], whole: dict[int, list[_Label]]) -> dict[int, list[int]]:
    """Return the labels to try, by sample: equally many of each class, evenly spread over time."""
    chosen: dict[int, list[int]] = {}
    for labels in whole.values():
        boxes = _boxes(samples, labels)
        mean_bytes = 4 * float(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).mean())
        n_wanted = int(min(_MAX_CANDIDATES, _MAX_BYTES / max(mean_bytes, 1.0))) // len(whole)
        for number in spread(np.arange(len(labels)), max(1, n_wanted)):
            sample, position = labels[number]
            chosen.setdefault(sample, []).append(position)
    return dict(sorted(chosen.items()))


def _boxes(samples: Sequence[TrainingSample], labels: Sequence[_Label]) -> FloatArray:
    return np.stack([samples[sample].boxes_xyxy[position] for sample, position in labels])


def _plate(
    samples: Sequence[TrainingSample], chosen: IntArray, read_picture: ReadPicture, plate_wh: SizeWH
) -> ImageArray:
    scale = _scale(samples[chosen[0]].size_wh, plate_wh)
    pictures = [_resized(read_picture(int(i)), plate_wh) for i in chosen]
    hidden = [np.concatenate([samples[i].boxes_xyxy, samples[i].ignored_xyxy]) * scale for i in chosen]
    return clean_plate(pictures, hidden)


def _cut(
    sample: TrainingSample,
    positions: Sequence[int],
    picture: ImageArray,
    plate: ImageArray,
    window: int,
    spots: dict[int, ClassSpots],
) -> Iterable[Cutout]:
    """Yield the objects of one picture that stand out from the plate."""
    plate_wh = plate.shape[1], plate.shape[0]
    small = _resized(picture, plate_wh)
    scale = _scale(sample.size_wh, plate_wh)
    boxes = np.concatenate([sample.boxes_xyxy, sample.ignored_xyxy]) * scale
    sx, sy = sample.size_wh[0] / picture.shape[1], sample.size_wh[1] / picture.shape[0]
    for position in positions:
        mask = object_mask(small, plate, boxes[position], np.delete(boxes, position, axis=0))
        if mask is None:
            continue
        bgra, (left, top) = cut_out(picture, mask, plate_wh)
        box, class_id = sample.boxes_xyxy[position], int(sample.class_ids[position])
        indices, resizes = spots[class_id].fitting(box)
        if len(indices):
            to_frame = np.array([[sx, 0, left * sx], [0, sy, top * sy]], np.float32)
            weight = float(sample.label_weights[position])
            yield Cutout(bgra, to_frame, box, class_id, weight, window, indices, resizes)


def _resized(picture: ImageArray, size_wh: SizeWH) -> ImageArray:
    return np.asarray(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _scale(from_wh: SizeWH, to_wh: SizeWH) -> FloatArray:
    """Return the factors of (N, 4) boxes when their picture is resized."""
    return np.array([to_wh[0] / from_wh[0], to_wh[1] / from_wh[1]] * 2, np.float32)
