"""Reads the boxes of human annotators, a COCO JSON file, and finds them by frame."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from edge_autotuner.core import LabelMap
from edge_autotuner.core.boxes import xywh_to_xyxy
from edge_autotuner.core.file_names import holds_bytes, text_of_name
from edge_autotuner.core.json_fields import FieldError, Fields, parse_json
from edge_autotuner.core.types import BoolArray, FloatArray, IntArray, SizeWH
from edge_autotuner.dataset.coco_export import TEACHER_LABELS
from edge_autotuner.dataset.records import FrameRecord
from edge_autotuner.errors import EvaluationError

logger = logging.getLogger(__name__)

MAX_JSON_BYTES = 512 * 2**20
_MAX_PIXEL = 1e9  # beyond every picture

TruthBoxes = tuple[FloatArray, IntArray, BoolArray]
"""Corners (N, 4) in frame pixels, class ids (N,), and whether a box stands for a crowd (N,)."""


@dataclass(frozen=True)
class TruthPicture:
    """One labelled picture.

    Attributes:
        image_id: of the file.
        file_name: as in the file, "/" as separator; None when it has none.
        frame_index: 0-based decode order in its video; None when it has none.
        size_wh: pixels; None when the file does not say.
        boxes_xyxy: (N, 4) corners; N = 0 means that a human looked and found nothing.
        class_ids: (N,) positions in the label map.
        is_crowd: (N,) whether a box stands for a group.
    """

    image_id: int
    file_name: str | None
    frame_index: int | None
    size_wh: SizeWH | None
    boxes_xyxy: FloatArray
    class_ids: IntArray
    is_crowd: BoolArray


class CocoTruth:
    """The labelled pictures of a file, found by frame index (video) or by file name (folder).

    Attributes:
        pictures: in the order of the file.
        category_ids: category name -> id in the file.
        n_unknown: category name -> boxes left out because the label map does not have the class.
    """

    def __init__(
        self,
        pictures: tuple[TruthPicture, ...],
        *,
        path: Path,
        category_ids: Mapping[str, int],
        n_unknown: Mapping[str, int],
    ) -> None:
        self.pictures = pictures
        self.category_ids = dict(category_ids)
        self.n_unknown = dict(n_unknown)
        self._path = path
        self._by_index = _unique_by(pictures, lambda p: p.frame_index, path, "frame_index")
        self._by_name = _unique_by(pictures, lambda p: p.file_name, path, "file_name")
        counts = Counter(PurePosixPath(name).name for name in self._by_name)
        self._by_base_name = {
            PurePosixPath(name).name: picture
            for name, picture in self._by_name.items()
            if counts[PurePosixPath(name).name] == 1
        }

    def for_frame(self, index: int | None, file_name: str | None) -> TruthBoxes | None:
        """Return the boxes of a frame; None when it is not in the ground truth and must not be scored.

        A frame without a file name is one of a video and is found by its index, in decode order. Otherwise its path
        below the source folder is looked for, then its base name if only one labelled picture has it.
        """
        picture = self.picture_for(index, file_name)
        return None if picture is None else (picture.boxes_xyxy, picture.class_ids, picture.is_crowd)

    def check_frames(self, frames: Iterable[FrameRecord]) -> None:
        """Make sure that frames and ground truth belong together, before anything is scored.

        Raises:
            EvaluationError: no frame is in the ground truth, two frames would be scored against one labelled
                picture, or a frame has another size than its labelled picture.
        """
        taken: dict[int, FrameRecord] = {}
        n_frames = 0
        for frame in frames:
            n_frames += 1
            picture = self.picture_for(frame.index, frame.file_name)
            if picture is None:
                continue
            self._check_size(frame, picture)
            other = taken.setdefault(id(picture), frame)
            if other is not frame:
                raise EvaluationError(
                    f"{self._path}: frames {_name(other)} and {_name(frame)} both match the picture "
                    f"'{picture.file_name}'; write paths below the source folder as file_name"
                )
        if not taken:
            raise EvaluationError(f"{self._path}: the ground truth lists none of the {n_frames} frames; {self._hint()}")

    def picture_for(self, index: int | None, file_name: str | None) -> TruthPicture | None:
        """Return the labelled picture of a frame, found as `for_frame` does; None when there is none."""
        if file_name is None:
            return None if index is None else self._by_index.get(index)
        exact = self._by_name.get(file_name)
        return exact or self._by_base_name.get(PurePosixPath(file_name).name)

    def _check_size(self, frame: FrameRecord, picture: TruthPicture) -> None:
        for box in picture.boxes_xyxy.tolist() if picture.size_wh is None else ():
            if _is_outside(box, frame.size_wh):
                raise EvaluationError(
                    f"{self._path}: image {picture.image_id} has the box {box}, outside of frame {_name(frame)} of "
                    f"size {frame.size_wh}; use the ground truth of this resolution"
                )
        if picture.size_wh not in (None, frame.size_wh):
            raise EvaluationError(
                f"{self._path}: frame {_name(frame)} has size {frame.size_wh}, its labelled picture "
                f"{picture.size_wh}; use the ground truth of this resolution"
            )

    def _hint(self) -> str:
        indices, names = sorted(self._by_index), list(self._by_name)
        parts = []
        if indices:
            parts.append(f"for a video, it lists frame_index {indices[0]} to {indices[-1]}")
        if names:
            parts.append(f"for a folder, it lists file_name such as '{names[0]}'")
        return "; ".join(parts) or "its images have neither frame_index nor file_name"


def load_coco_truth(path: Path, *, labels: LabelMap, map_classes: Mapping[str, str]) -> CocoTruth:
    """Read a COCO file with human boxes.

    Args:
        path: JSON with `images` (`id`, and `frame_index` or `file_name`), `annotations` and `categories`.
        labels: the classes that are scored. Boxes of other categories are left out, which is logged.
        map_classes: category name -> class name, for example {"truck": "car"}; unmapped names stay.

    Raises:
        EvaluationError: the file is missing, too large, not such a file, contradicts itself, or has no box of
            the classes although it has boxes.
        ConfigError: `map_classes` leads to a class that does not exist.
    """
    try:
        return _truth_of(_read_json(path), labels, map_classes, path)
    except FieldError as exc:
        raise EvaluationError(f"{path}: {exc}") from exc


_Box = tuple[list[float], int, bool]


def _truth_of(values: Fields, labels: LabelMap, map_classes: Mapping[str, str], path: Path) -> CocoTruth:
    names = _category_names(values)
    class_of = _classes_of(names, labels, map_classes, path)
    images = list(values.each("images"))
    boxes: dict[int, list[_Box]] = {image.whole("id"): [] for image in images}
    if len(boxes) != len(images):
        raise EvaluationError(f"{path}: two images have the same id")
    sizes = {image.whole("id"): _size(image) for image in images}
    n_unknown: Counter[str] = Counter()
    ids: set[int] = set()
    for item in values.each("annotations"):
        image_id, category = item.whole("image_id"), item.whole("category_id")
        if image_id not in boxes:
            raise FieldError(f"{item.where}: image_id {image_id} does not exist")
        if category not in names:
            raise FieldError(f"{item.where}: category_id {category} does not exist")
        _require_new_id(item, ids)
        box, is_crowd = _bbox(item, sizes[image_id]), _is_crowd(item)
        class_id = class_of[category]
        if class_id is None:
            n_unknown[names[category]] += 1
        else:
            boxes[image_id].append((box, class_id, is_crowd))
    _check_known(boxes.values(), n_unknown, labels, path)
    pictures = tuple(_picture(image, boxes[image.whole("id")]) for image in images)
    category_ids = {name: category for category, name in names.items()}
    return CocoTruth(pictures, path=path, category_ids=category_ids, n_unknown=n_unknown)


def _read_json(path: Path) -> Fields:
    try:
        n_bytes = path.stat().st_size
        if n_bytes > MAX_JSON_BYTES:
            raise EvaluationError(f"ground truth {path} has {n_bytes} bytes, more than the limit of {MAX_JSON_BYTES}")
        values = parse_json(path.read_bytes())
    except OSError as exc:
        raise EvaluationError(f"cannot read ground truth {path}: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise EvaluationError(
            f"ground truth {path} is not valid JSON ({exc}); give a COCO file with human boxes"
        ) from exc
    if not isinstance(values, dict):
        raise EvaluationError(f"{path}: expected a COCO object, got {type(values).__name__}")
    for key in ("images", "annotations", "categories"):
        items = values.get(key)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise EvaluationError(f"{path}: '{key}' must be a list of objects")
    _refuse_our_own(values.get("info"), path)
    if not values["images"]:
        raise EvaluationError(f"{path}: 'images' is empty: nothing to score")
    return Fields(values, "")


def _refuse_our_own(info: object, path: Path) -> None:
    """Refuse the labels of a run: a student that is scored against its own teacher's labels seems to be right."""
    description = info.get("description") if isinstance(info, dict) else None
    if isinstance(description, str) and description.startswith(TEACHER_LABELS):
        raise EvaluationError(
            f"{path} holds {TEACHER_LABELS}, according to its 'info', and is not ground truth. If a human has checked "
            "every box since, remove 'info' from the file"
        )


def _category_names(values: Fields) -> dict[int, str]:
    names: dict[int, str] = {}
    for item in values.each("categories"):
        category, name = item.whole("id"), item.text("name")
        if category in names:
            raise FieldError(f"{item.where}: id {category} is used twice")
        if name in names.values():
            raise FieldError(f"{item.where}: two categories have the name '{name}'")
        names[category] = name
    return names


def _classes_of(
    names: Mapping[int, str], labels: LabelMap, map_classes: Mapping[str, str], path: Path
) -> dict[int, int | None]:
    known = set(names.values()) | set(labels)
    if stray := sorted(set(map_classes) - known):
        raise EvaluationError(
            f"{path}: the class map names {', '.join(stray)}, neither a category of the ground truth "
            f"({', '.join(names.values())}) nor a class of the model"
        )
    targets = {name: labels.id_of(target) for name, target in map_classes.items()}
    return {
        category: targets.get(name, labels.id_of(name) if name in labels else None) for category, name in names.items()
    }


def _check_known(boxes: Iterable[list[_Box]], n_unknown: Mapping[str, int], labels: LabelMap, path: Path) -> None:
    if not n_unknown:
        return
    unknown = ", ".join(sorted(n_unknown))
    if not any(boxes):
        example = next(iter(sorted(n_unknown)))
        raise EvaluationError(
            f"{path}: no box has a class of the model: the categories are {unknown}, the model's classes "
            f"{', '.join(labels)}. Map them, e.g. {example}={labels[0]}"
        )
    logger.warning("%s: skipped boxes of categories that are not scored: %s", path, dict(n_unknown))


def _with_slashes(file_name: str) -> str:
    """Return a path as written on Windows with "/" between folders; as the frames have it."""
    return file_name if holds_bytes(file_name) else text_of_name(file_name.replace("\\", "/"))


def _picture(image: Fields, items: list[_Box]) -> TruthPicture:
    file_name = image.text("file_name") if image.has("file_name") else None
    frame_index = image.whole("frame_index", at_least=0) if image.has("frame_index") else None
    if file_name is None and frame_index is None:
        raise FieldError(f"{image.where}: has neither 'file_name' nor 'frame_index'")
    return TruthPicture(
        image_id=image.whole("id"),
        file_name=None if file_name is None else _with_slashes(file_name).removeprefix("./"),
        frame_index=frame_index,
        size_wh=_size(image),
        boxes_xyxy=xywh_to_xyxy(np.array([box for box, _, _ in items], np.float32)),
        class_ids=np.array([class_id for _, class_id, _ in items], np.int64),
        is_crowd=np.array([crowd for _, _, crowd in items], np.bool_),
    )


def _size(image: Fields) -> SizeWH | None:
    """Return the size that the file says; None where it says none, neither width nor height."""
    if not (image.has("width") or image.has("height")):
        return None
    return image.whole("width", at_least=1), image.whole("height", at_least=1)


def _bbox(item: Fields, size_wh: SizeWH | None) -> list[float]:
    expected = "[x, y, width, height] in pixels, with an area"
    try:
        x, y, width, height = item.numbers("bbox", 4)
    except FieldError:
        raise item.error("bbox", expected) from None
    if not _has_area(x, y, width, height):
        raise item.error("bbox", expected)
    if _is_outside((x, y, x + width, y + height), size_wh):
        raise item.error("bbox", f"inside its image of {size_wh}")
    return [x, y, width, height]


def _has_area(x: float, y: float, width: float, height: float) -> bool:
    """Whether a box still has an area in the precision in which boxes are compared."""
    if width <= 0 or height <= 0 or max(map(abs, (x, y, width, height))) > _MAX_PIXEL:
        return False
    x1, y1, x2, y2 = np.array([x, y, x + width, y + height], np.float32).tolist()
    return bool(x2 > x1 and y2 > y1)


def _is_outside(box_xyxy: Sequence[float], size_wh: SizeWH | None) -> bool:
    """Whether nothing of a box is in the picture; one that a human drew over the edge is."""
    x1, y1, x2, y2 = box_xyxy
    return x2 <= 0 or y2 <= 0 or (size_wh is not None and (x1 >= size_wh[0] or y1 >= size_wh[1]))


def _is_crowd(item: Fields) -> bool:
    """Whether a box is neither to be found nor wrong when it is: a group of objects, or what is to be ignored."""
    is_crowd, is_ignored = item.zero_or_one("iscrowd", default=False), item.zero_or_one("ignore", default=False)
    return is_crowd or is_ignored


def _require_new_id(item: Fields, ids: set[int]) -> None:
    if "id" not in item.values:
        return
    own = item.whole("id")
    if own in ids:
        raise FieldError(f"{item.where}: duplicate annotation 'id' {own}")
    ids.add(own)


def _unique_by(pictures: Iterable[TruthPicture], key: Any, path: Path, name: str) -> dict[Any, TruthPicture]:  # noqa: ANN401
    found: dict[Any, TruthPicture] = {}
    for picture in pictures:
        value = key(picture)
        if value is not None and found.setdefault(value, picture) is not picture:
            raise EvaluationError(f"{path}: two images have {name} {value!r}")
    return found


def _name(frame: FrameRecord) -> str:
    return f"'{frame.file_name}'" if frame.file_name is not None else str(frame.index)
