"""Records of the pictures in a reservoir, and their JSON form."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

import numpy as np

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.core.arguments import check_choice
from edge_autotuner.core.box_codec import boxes_of, boxes_to_tuples, short_floats
from edge_autotuner.core.json_fields import Fields
from edge_autotuner.core.tasks import task_of
from edge_autotuner.core.types import FloatArray, SizeWH
from edge_autotuner.dataset.records import FrameRecord, size_of

ReplayOrigin = Literal["replay", "generic"]
"""Earlier pictures of the camera itself, or pictures of other scenes."""

ORIGINS: tuple[ReplayOrigin, ...] = get_args(ReplayOrigin)
_PICTURE_FILE = re.compile(r"pictures/[0-9a-f]{64}\.[a-z]{3,4}")
_HOUR_S = 3600


@dataclass(frozen=True, eq=False)
class ReplayLabels:
    """Labels of one picture, as a training used them.

    Attributes:
        objects: G labelled objects, picture pixels, with the teacher's scores.
        ignored_xyxy: (I, 4) places that are neither object nor background.
        looked_xyxy: (R, 4) what the teacher has seen; outside of it nothing is known.
        weights: (G,) how much each object counts, in [0, 1]; None: all fully.
        labels: the classes that the teacher looked for; of other classes nothing is known.
    """

    objects: Detections
    ignored_xyxy: FloatArray
    looked_xyxy: FloatArray
    weights: FloatArray | None
    labels: LabelMap

    def __post_init__(self) -> None:
        if self.weights is not None and len(self.weights) != len(self.objects):
            raise ValueError(f"expected a weight for each of {len(self.objects)} objects, got {len(self.weights)}")
        self.objects.require_classes_of(self.labels)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that the picture shows, each once, sorted."""
        return tuple(sorted({self.labels[int(i)] for i in self.objects.class_ids}))

    def to_json(self) -> dict[str, Any]:
        """Return the labels as JSON values; every float32 survives the round trip exactly."""
        columns = task_of(self.labels).codec.to_json(self.objects)
        first = {name: columns[name] for name in ("boxes_xyxy", "class_ids")}  # the order decides a reservoir's digest
        return {
            **(first | columns),
            "ignored_xyxy": boxes_to_tuples(self.ignored_xyxy),
            "looked_xyxy": boxes_to_tuples(self.looked_xyxy),
            "weights": None if self.weights is None else short_floats(self.weights),
            **self.labels.to_json(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ReplayLabels:
        """Read what `to_json` returned.

        Raises:
            ValueError: a value is missing or makes no sense.
        """
        fields = Fields(values, "labels")
        labels = LabelMap.from_json(fields)
        weights = fields.numbers("weights") if fields.has("weights") else None
        return cls(
            objects=task_of(labels).codec.from_json(fields),
            ignored_xyxy=boxes_of(fields, "ignored_xyxy"),
            looked_xyxy=boxes_of(fields, "looked_xyxy"),
            weights=None if weights is None else np.asarray(weights, np.float32),
            labels=labels,
        )


@dataclass(frozen=True, eq=False)
class ReplayPicture:
    """One picture of a reservoir.

    Attributes:
        frame_id: names the frame among all sources; a reservoir holds it once.
        origin: "replay" or "generic".
        era: when it was taken, by the hour.
        size_wh: width and height, pixels.
        suffix: of its file, with the dot.
        sha256: of its file; also its name.
        n_bytes: size of its file.
        labels: what is known of it.
    """

    frame_id: str
    origin: ReplayOrigin
    era: str
    size_wh: SizeWH
    suffix: str
    sha256: str
    n_bytes: int
    labels: ReplayLabels

    @property
    def file(self) -> str:
        """Path inside the reservoir's folder."""
        return f"pictures/{self.sha256}{self.suffix}"

    def key(self, seed: int) -> float:
        """Return the picture's pseudo-random key, in [0, 1): the same whenever the same frame is offered."""
        digest = hashlib.sha256(f"{seed}:{self.frame_id}".encode()).digest()
        return int.from_bytes(digest[:6], "big") / 2**48

    def to_json(self) -> dict[str, Any]:
        """Return the picture as JSON values."""
        plain = {name: getattr(self, name) for name in ("frame_id", "origin", "era", "suffix", "sha256", "n_bytes")}
        return plain | {"size_wh": list(self.size_wh), "labels": self.labels.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ReplayPicture:
        """Read what `to_json` returned.

        Raises:
            ValueError: a value is missing or makes no sense.
        """
        fields = Fields(values, "")
        picture = cls(
            frame_id=fields.text("frame_id"),
            origin=check_choice(fields.text("origin"), ORIGINS, "origin"),
            era=fields.text("era"),
            size_wh=size_of(fields),
            suffix=fields.text("suffix", may_be_empty=True),
            sha256=fields.text("sha256"),
            n_bytes=fields.whole("n_bytes", at_least=0),
            labels=ReplayLabels.from_json(fields.inner("labels").values),
        )
        if not _PICTURE_FILE.fullmatch(picture.file):
            raise ValueError(f"'{picture.file}' is not a picture of a reservoir: check sha256 and suffix")
        return picture


def frame_id_of(source_sha256: str, record: FrameRecord) -> str:
    """Return a frame's identity across sources: the hash of its source, and its index there.

    A live camera begins to count anew with each capture, so there the time of day decides.
    """
    return f"{source_sha256}:{record.captured_at or record.index}"


def era_of(source_sha256: str, record: FrameRecord) -> str:
    """Return the hour of a frame: of the day for a live camera, else of its recording."""
    if record.captured_at is not None:
        return datetime.fromisoformat(record.captured_at).strftime("%Y-%m-%dT%H")
    return f"{source_sha256[:12]}+{int(record.time_s // _HOUR_S)}h"
