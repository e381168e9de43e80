"""The cameras whose labels are measured: simulated streets, and clips with the classes that they really show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_FRAMES = {"capture.max_images": 120, "capture.max_test_images": 30}


@dataclass(frozen=True)
class LabelCamera:
    """One camera.

    Attributes:
        name: of its folder and in tables.
        source: clip or folder below the data folder; None: simulated.
        script: settings of the simulated world, as in its YAML.
        classes: street classes that appear in the clip, looked up in its pictures; None: the exact truth says it.
        unclear: classes of which the pictures do not tell; they are not scored.
        settings: dotted keys of the capture.
    """

    name: str
    source: str | None = None
    script: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    unclear: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=lambda: dict(_FRAMES))


def _simulated(name: str, scene: str, camera: int, **script: Any) -> LabelCamera:  # noqa: ANN401 (YAML values)
    size = "1280x720" if scene == "motorway" else "640x360"
    values = {"scene": scene, "camera": camera, "size": size, "rate": 3.0, "length": "60s", **script}
    return LabelCamera(name, script=values)


_NO_BUSES = {"bus": 0.0, "truck": 0.0}

SIMULATED = (
    _simulated("motorway-0", "motorway", 0),
    _simulated("motorway-1-rain", "motorway", 1, events=[{"what": "rain"}]),
    _simulated("motorway-2-dusk", "motorway", 2, events=[{"what": "dusk"}]),
    _simulated("motorway-3-cars", "motorway", 3, shares={**_NO_BUSES, "motorcycle": 0.0}),
    _simulated("motorway-4-rare-bus", "motorway", 4, shares={"bus": 0.01, "truck": 0.0}),
    _simulated("motorway-5-rare-motorcycle", "motorway", 5, shares={**_NO_BUSES, "motorcycle": 0.01}),
    _simulated("street-0", "street", 0),
    _simulated("street-1", "street", 1),
    _simulated("street-2-cars", "street", 2, shares={**_NO_BUSES, "motorcycle": 0.0}),
    _simulated("street-3-rare-bus", "street", 3, shares={"bus": 0.01, "truck": 0.0}),
    _simulated("street-4-night", "street", 4, events=[{"what": "night"}]),
    _simulated("parking-0", "parking", 0),
    _simulated("parking-1-quiet", "parking", 1, traffic=0.3),
    _simulated("campus-0", "campus", 0),
    _simulated("campus-1-snow", "campus", 1, events=[{"what": "snow"}]),
    _simulated("campus-2-quiet", "campus", 2, traffic=0.3),
)


def _clip(name: str, source: str, *classes: str, unclear: str = "", **capture: str) -> LabelCamera:
    settings = {**_FRAMES, **{f"capture.{key}": value for key, value in capture.items()}}
    open_questions = tuple(unclear.split())
    return LabelCamera(name, f"scenes/{source}", classes=classes, unclear=open_questions, settings=settings)


CLIPS = (
    _clip("pets", "pets2009_s2l1/vtest.avi", "person", "car", train_frames="0:400", test_frames="400:500"),
    _clip("pets-film", "pets2009_s2l1/vtest.avi", "person", "car", train_frames="0:180", test_frames="400:500"),
    _clip("highway", "cdnet_highway/highway.avi", "car", "truck", train_frames="0:720", test_frames="720:1000"),
    _clip("ngsim-1", "ngsim_us101_seq1/images/train", "car", "truck", unclear="motorcycle", train_frames="0:300"),
    _clip("ngsim-2", "ngsim_us101_seq2/images", "car", "truck", unclear="motorcycle"),
    _clip("aboda4", "unlabelled/aboda4.avi", "person", unclear="car"),
    _clip("bgs-video02", "unlabelled/bgs_video02.avi", "car", "truck", "person", "bicycle"),
    _clip("car-detection", "unlabelled/intel_car-detection.mp4", "car", "truck"),
    _clip("one-by-one", "unlabelled/intel_one-by-one.mp4", "person", "bicycle", "car"),
    _clip("cyclists", "unlabelled/otv_cyc.mp4", "bicycle", "person", "car"),
    _clip("otv-truck", "unlabelled/otv_truck.mp4", "truck", "car"),
    _clip("ua-detrac", "unlabelled/ua_detrac.mp4", "car", "truck", "bus", "person", unclear="bicycle motorcycle"),
)

CAMERAS = (*SIMULATED, *CLIPS)
