"""Reads the boxes of human annotators, a COCO JSON file, and finds them by frame."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from edge_autotuner.core import LabelMap
from edge_autotuner.core.boxes import xywh_to_xyxy
from edge_autotuner.core.types import BoolArray, FloatArray, IntArray, SizeWH
from edge_autotuner.dataset.records import FrameRecord
from edge_autotuner.errors import EvaluationError

logger = logging.getLogger(__name__)

MAX_JSON_BYTES = 512 * 2**20

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

        Args:
            index: 0-based decode order; used for a frame of a video, that is, without a file name.
            file_name: path below the source folder. The exact path is looked for, then the base name when
                only one labelled picture has it.
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
                    f"{self._path}: frames {_name(other)} and {_name(frame)} both fit the picture "
                    f"'{picture.file_name}'; write paths below the source folder as file_name"
                )
        if not taken:
            raise EvaluationError(f"{self._path}: none of the {n_frames} frames is in the ground truth; {self._hint()}")

    def picture_for(self, index: int | None, file_name: str | None) -> TruthPicture | None:
        """Return the labelled picture of a frame, found as `for_frame` does; None when there is none."""
        if file_name is None:
            return None if index is None else self._by_index.get(index)
        exact = self._by_name.get(file_name)
        return exact or self._by_base_name.get(PurePosixPath(file_name).name)

    def _check_size(self, frame: FrameRecord, picture: TruthPicture) -> None:
        if picture.size_wh not in (None, frame.size_wh):
            raise EvaluationError(
                f"{self._path}: frame {_name(frame)} has size {frame.size_wh}, its labelled picture "
                f"{picture.size_wh}; use the ground truth of this resolution"
            )

    def _hint(self) -> str:
        indices, names = sorted(self._by_index), list(self._by_name)
        parts = []
        if indices:
            parts.append(f"it has frame_index {indices[0]} to {indices[-1]} for a video")
        if names:
            parts.append(f"it has file_name such as '{names[0]}' for a folder")
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
    values = _read_json(path)
    names = _category_names(values, path)
    class_of = _classes_of(names, labels, map_classes, path)
    boxes: dict[int, list[tuple[list[float], int, bool]]] = {
        _whole(image, "id", f"{path}: images[{i}]"): [] for i, image in enumerate(values["images"])
    }
    if len(boxes) != len(values["images"]):
        raise EvaluationError(f"{path}: two images have the same id")
    n_unknown: Counter[str] = Counter()
    for position, item in enumerate(values["annotations"]):
        where = f"{path}: annotations[{position}]"
        image_id, category = _whole(item, "image_id", where), _whole(item, "category_id", where)
        if image_id not in boxes:
            raise EvaluationError(f"{where}: there is no image with id {image_id}")
        if category not in names:
            raise EvaluationError(f"{where}: there is no category with id {category}")
        class_id = class_of[category]
        if class_id is None:
            n_unknown[names[category]] += 1
        else:
            boxes[image_id].append((_bbox(item, where), class_id, bool(item.get("iscrowd", 0))))
    _check_known(boxes.values(), n_unknown, labels, path)
    pictures = tuple(_picture(image, boxes[image["id"]], path) for image in values["images"])
    category_ids = {name: category for category, name in names.items()}
    return CocoTruth(pictures, path=path, category_ids=category_ids, n_unknown=n_unknown)


def _read_json(path: Path) -> dict[str, list[Any]]:
    try:
        n_bytes = path.stat().st_size
        if n_bytes > MAX_JSON_BYTES:
            raise EvaluationError(f"ground truth {path} has {n_bytes} bytes, more than the limit of {MAX_JSON_BYTES}")
        values = json.loads(path.read_bytes())
    except OSError as exc:
        raise EvaluationError(f"cannot read ground truth {path}: {exc.strerror or exc}") from exc
    except (ValueError, RecursionError) as exc:
        raise EvaluationError(f"ground truth {path} is not valid JSON: {exc}") from exc
    if not isinstance(values, dict):
        raise EvaluationError(f"{path}: expected a COCO dictionary, got {type(values).__name__}")
    for key in ("images", "annotations", "categories"):
        items = values.get(key)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise EvaluationError(f"{path}: COCO needs '{key}' as a list of objects")
    if not values["images"]:
        raise EvaluationError(f"{path}: 'images' is empty; there is nothing to score")
    return values


def _category_names(values: Mapping[str, list[Any]], path: Path) -> dict[int, str]:
    names = {}
    for position, item in enumerate(values["categories"]):
        where = f"{path}: categories[{position}]"
        category, name = _whole(item, "id", where), item.get("name")
        if not isinstance(name, str):
            raise EvaluationError(f"{where}: 'name' must be text, got {name!r}")
        if category in names:
            raise EvaluationError(f"{where}: id {category} is used twice")
        names[category] = name
    return names


def _classes_of(
    names: Mapping[int, str], labels: LabelMap, map_classes: Mapping[str, str], path: Path
) -> dict[int, int | None]:
    known = set(names.values()) | set(labels)
    if stray := sorted(set(map_classes) - known):
        raise EvaluationError(
            f"{path}: the class map names {', '.join(stray)}, which is neither a category of the ground truth "
            f"({', '.join(names.values())}) nor a class of the model"
        )
    targets = {name: labels.id_of(target) for name, target in map_classes.items()}
    return {
        category: targets.get(name, labels.id_of(name) if name in labels else None) for category, name in names.items()
    }


def _check_known(
    boxes: Iterable[list[tuple[list[float], int, bool]]], n_unknown: Mapping[str, int], labels: LabelMap, path: Path
) -> None:
    if not n_unknown:
        return
    unknown = ", ".join(sorted(n_unknown))
    if not any(boxes):
        example = next(iter(sorted(n_unknown)))
        raise EvaluationError(
            f"{path}: all boxes are of categories that the model does not have ({unknown}); "
            f"its classes are {', '.join(labels)}. Map them, for example {example}={labels[0]}"
        )
    logger.warning("%s: left out boxes of categories that are not scored: %s", path, dict(n_unknown))


def _picture(image: Mapping[str, Any], items: list[tuple[list[float], int, bool]], path: Path) -> TruthPicture:
    where = f"{path}: image {image['id']}"
    file_name = image.get("file_name")
    if file_name is not None and not isinstance(file_name, str):
        raise EvaluationError(f"{where}: 'file_name' must be text, got {file_name!r}")
    frame_index = None if image.get("frame_index") is None else _whole(image, "frame_index", where)
    if file_name is None and frame_index is None:
        raise EvaluationError(f"{where}: has neither 'file_name' nor 'frame_index'")
    has_size = image.get("width") is not None and image.get("height") is not None
    return TruthPicture(
        image_id=int(image["id"]),
        file_name=None if file_name is None else file_name.replace("\\", "/").removeprefix("./"),
        frame_index=frame_index,
        size_wh=(_whole(image, "width", where), _whole(image, "height", where)) if has_size else None,
        boxes_xyxy=xywh_to_xyxy(np.array([box for box, _, _ in items], np.float32)),
        class_ids=np.array([class_id for _, class_id, _ in items], np.int64),
        is_crowd=np.array([crowd for _, _, crowd in items], np.bool_),
    )


def _bbox(item: Mapping[str, Any], where: str) -> list[float]:
    box: Any = item.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)) or box[2] < 0 or box[3] < 0:
        raise EvaluationError(f"{where}: 'bbox' must be [x, y, width, height] in pixels, got {box!r}")
    return [float(value) for value in box]


def _whole(item: Mapping[str, Any], key: str, where: str) -> int:
    value: Any = item.get(key)
    if not _is_number(value) or value != int(value):
        raise EvaluationError(f"{where}: '{key}' must be a whole number, got {value!r}")
    return int(value)


def _is_number(value: object) -> bool:
    """Whether a JSON value is a finite number that a float64 holds exactly enough; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def _unique_by(pictures: Iterable[TruthPicture], key: Any, path: Path, name: str) -> dict[Any, TruthPicture]:  # noqa: ANN401
    found: dict[Any, TruthPicture] = {}
    for picture in pictures:
        value = key(picture)
        if value is not None and found.setdefault(value, picture) is not picture:
            raise EvaluationError(f"{path}: two images have {name} {value!r}")
    return found


def _name(frame: FrameRecord) -> str:
    return f"'{frame.file_name}'" if frame.file_name is not None else str(frame.index)
