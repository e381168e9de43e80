"""The seams of the package on one page: what can be replaced, and what a replacement must do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from edge_autotuner.core.annotations import Annotation, Look, Scene
from edge_autotuner.core.detections import Detections
from edge_autotuner.core.frame import Frame
from edge_autotuner.core.labels import LabelMap
from edge_autotuner.core.observations import Observation
from edge_autotuner.core.sources import Damage, SourceInfo, do_nothing
from edge_autotuner.core.types import FloatArray, ImageArray, SizeWH


@runtime_checkable
class FrameSource(Protocol):
    """Frames of one fixed camera in time order. Close it, or use it in a `with` block.

    `frames` may be called again. A recorded source starts from the beginning each time; a live one continues with
    what the camera shows now, and drops frames that were not taken in time. It raises `VideoError` when the source
    cannot be read, after yielding every frame before the damage.

    Subclass `SourceBase` to implement only `info` and `frames`.
    """

    @property
    def info(self) -> SourceInfo:
        """Facts about the source."""
        ...

    @property
    def length_s(self) -> float | None:
        """Seconds of material; None for a camera."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Paths of the pictures below their folder, in the order of the frames; empty where frames have none."""
        ...

    @property
    def damage(self) -> Damage:
        """What the last call of `frames` left out or repaired."""
        ...

    @property
    def n_dropped(self) -> int:
        """Frames that were not taken in time; 0 for a recording."""
        ...

    def frames(self, *, while_waiting: Callable[[], None] = do_nothing) -> Iterator[Frame]:
        """Yield the frames in order; while none comes, a live source calls `while_waiting` a few times per second."""
        ...

    def span_s(self, frames: range) -> float:
        """Return how long these frames last, seconds; more than 0 for at least one."""
        ...

    def original_path(self, frame: Frame) -> Path | None:
        """Return the picture file whose bytes are exactly this frame; None where there is none."""
        ...

    def stop(self) -> None:
        """End `frames` soon, from any thread; does not wait."""
        ...

    def close(self) -> None:
        """Release the camera, and wait until that is done."""
        ...

    def __enter__(self) -> Self:
        """Return itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        ...


@runtime_checkable
class FrameObserver(Protocol):
    """Is shown every frame of a watched camera, in order, from the camera's thread.

    It shares nothing with other observers: what it raises is logged, and costs them nothing. It changes neither the
    observation nor the arrays in it.
    """

    @property
    def needs_motion(self) -> bool:
        """Whether the gate has to look at every frame just now; while nobody needs it, it looks at fewer."""
        ...

    def observe(self, observation: Observation) -> None:
        """Take the next frame into account."""
        ...


@runtime_checkable
class BackgroundModel(Protocol):
    """What the scene looks like when nothing moves."""

    def update(self, luma: ImageArray) -> None:
        """Learn from the next frame's (H, W) uint8 brightness; the array is not kept or changed."""
        ...

    @property
    def background(self) -> ImageArray | None:
        """The (H, W) uint8 background, or None while it is not known yet."""
        ...

    def reset(self) -> None:
        """Forget everything, as if new."""
        ...


@runtime_checkable
class Detector(Protocol):
    """A model that finds objects in pictures. `DetectorBase` asks about several pictures one by one."""

    @property
    def labels(self) -> LabelMap:
        """The classes that it knows."""
        ...

    @property
    def input_size_wh(self) -> SizeWH:
        """The size that pictures are resized to, pixels."""
        ...

    def detect(self, image_bgr: ImageArray) -> Detections:
        """Return the objects of a (H, W, 3) uint8 picture, in its pixels, by falling score."""
        ...

    def detect_batch(self, images: Sequence[ImageArray]) -> list[Detections]:
        """Run `detect` on several pictures in one call; their sizes may differ, the order is kept."""
        ...


@runtime_checkable
class Teacher(Protocol):
    """Gives labels that a student learns from.

    Subclass `TeacherBase` to implement only `name`, `labels`, `input_size_wh` and `annotate`.
    """

    @property
    def name(self) -> str:
        """Its name in reports and manifests."""
        ...

    @property
    def labels(self) -> LabelMap:
        """The classes of its annotations."""
        ...

    @property
    def input_size_wh(self) -> SizeWH:
        """The size that it resizes what it looks at to, pixels; the largest of several."""
        ...

    @property
    def may_see_whole_frames(self) -> bool:
        """Whether it may be asked about whole frames; if not, it is asked only about what moves."""
        ...

    @property
    def may_see_backgrounds(self) -> bool:
        """Whether it may be shown the empty scene as a picture of its own."""
        ...

    def looking(self, look: Look) -> Teacher:
        """Return the same teacher with another way to look; itself, where it has only one."""
        ...

    def annotate(
        self, image_bgr: ImageArray, regions_xyxy: FloatArray | None, *, scene: Scene | None = None
    ) -> Annotation:
        """Look at a (H, W, 3) uint8 frame, or at (R, 4) regions of it, and return labels in frame pixels.

        None: the whole frame; R = 0: nothing to look at. The picture is not changed.
        """
        ...
