"""The labelled scenes, and exactly which of their frames are scored, so that numbers compare.

PETS         trained on frames 0-499; scored on the frames 504, 510, ... 792
NGSIM seq 1  trained on images/train; scored on every third picture of the ground-truth file's list;
             cars, buses and trucks are one class
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_autotuner.errors import ConfigError
from edge_autotuner.storage.atomic import atomic_write_json

Images = list[dict[str, Any]]


@dataclass(frozen=True)
class Scene:
    """One camera with human boxes.

    Attributes:
        name: how tables call it.
        source: what is trained on, below the data folder.
        test_source: what is scored, below the data folder; None: a later part of the source.
        ground_truth: COCO file below the data folder.
        pick: chooses the scored pictures from those of the file.
        settings: dotted keys of a run.
        map_classes: classes that are scored as another.
    """

    name: str
    source: str
    test_source: str | None
    ground_truth: str
    pick: Callable[[Images], Images]
    settings: dict[str, Any] = field(default_factory=dict)
    map_classes: dict[str, str] = field(default_factory=dict)

    @property
    def scored_source(self) -> str:
        """Where the scored frames are, below the data folder."""
        return self.test_source or self.source

    def write_truth(self, data: Path, path: Path) -> Path:
        """Write the ground truth of the scored frames only, and return its path."""
        values = json.loads((data / self.ground_truth).read_text(encoding="utf-8"))
        images = self.pick(values["images"])
        ids = {image["id"] for image in images}
        annotations = [a for a in values["annotations"] if a["image_id"] in ids]
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_json(path, {"images": images, "annotations": annotations, "categories": values["categories"]})
        return path


PETS = Scene(
    name="PETS",
    source="scenes/pets2009_s2l1/vtest.avi",
    test_source=None,
    ground_truth="scenes/pets2009_s2l1/gt_coco.json",
    pick=lambda images: [image for image in images if image["frame_index"] >= 500 and image["frame_index"] % 6 == 0],
    settings={
        "capture.train_frames": "0:500",
        "capture.test_frames": "500:795",
        "capture.picture_format": "png",
    },
)
NGSIM = Scene(
    name="NGSIM seq 1",
    source="scenes/ngsim_us101_seq1/images/train",
    test_source="scenes/ngsim_us101_seq1/images/test",
    ground_truth="scenes/ngsim_us101_seq1/gt_coco.json",
    pick=lambda images: images[::3],
    map_classes={"bus": "car", "truck": "car"},
)


def data_folder() -> Path:
    """Return the folder of models and scenes.

    Raises:
        ConfigError: EDGE_AUTOTUNER_DATA names none, and there is none beside the project.
    """
    beside = Path(__file__).resolve().parent.parent.parent / "shared"
    folder = Path(os.environ.get("EDGE_AUTOTUNER_DATA") or beside)
    if not (folder / "scenes").is_dir():
        raise ConfigError(f"no scenes in {folder}; set EDGE_AUTOTUNER_DATA to the folder of models/ and scenes/")
    return folder
