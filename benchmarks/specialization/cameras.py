"""Cameras beyond the two of `benchmarks/scenes.py`: one with rough boxes, and clips that a teacher has labelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.scenes import Scene
from benchmarks.specialization.trial import FEMTO, NANO, QUICK_SETTINGS
from benchmarks.specialization.workplace import Workplace
from edge_autotuner.config import resolve_config
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.pipeline.session import Session, run_stages

HIGHWAY = Scene(
    name="highway",
    source="scenes/cdnet_highway/highway.avi",
    test_source=None,
    ground_truth="scenes/cdnet_highway/gt_coco.json",
    pick=lambda images: [image for image in images if image["frame_index"] >= 1000 and image["frame_index"] % 12 == 0],
    settings={
        "capture.train_frames": "0:1000",
        "capture.test_frames": "1000:1700",
        "capture.max_images": 250,
        "capture.picture_format": "png",
    },
    map_classes={"moving_vehicle": "car", "bus": "car", "truck": "car"},
)
"""CDnet's highway; its boxes surround what moves, so that touching cars are one box: rough, AP50 says the most."""


@dataclass(frozen=True)
class Clip:
    """A recording without human boxes.

    Attributes:
        name: how tables call it.
        source: below the data folder.
        licence: of the clip.
        settings: dotted keys of the capture.
    """

    name: str
    source: str
    licence: str
    settings: Mapping[str, Any] = field(default_factory=dict)


MOTORWAY = Clip(
    "motorway (bgs_video02)",
    "scenes/unlabelled/bgs_video02.avi",
    "MIT",
    {"capture.train_frames": "0:100", "capture.test_frames": "100:750", "capture.test_every": 13},
)
"""Scored against the teacher's labels and never trained on."""

GENERIC_CLIPS = (
    Clip(
        "intel_car-detection",
        "scenes/unlabelled/intel_car-detection.mp4",
        "CC BY 4.0",
        {"capture.max_images": 60, "capture.picture_format": "png"},
    ),
    Clip(
        "intel_one-by-one",
        "scenes/unlabelled/intel_one-by-one.mp4",
        "CC BY 4.0",
        {"capture.max_images": 60, "capture.picture_format": "png"},
    ),
)
"""Pictures of other scenes that guard against forgetting; nothing is scored on them."""


def labelled_clip(place: Workplace, clip: Clip) -> RunFolder:
    """Return the run folder with frames of a clip and the teacher's labels; made where it is not there yet."""
    shorter = {key: value for key, value in QUICK_SETTINGS.items() if key.startswith("capture.")} if place.quick else {}
    settings = {"edge_model": NANO, "annotation.teacher": FEMTO, "models_dir": place.data / "models"}
    config = resolve_config(None, {**settings, **clip.settings, **shorter})
    output = place.work / "labels" / f"{clip.source.rpartition('/')[2].partition('.')[0]}-{FEMTO}"
    session = Session.open(output, config, source=place.data / clip.source, progress=place.progress)
    run_stages(session, last="annotation")
    return session.folder
