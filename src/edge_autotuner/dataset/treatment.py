"""How pictures may be changed on their way into a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edge_autotuner.core.types import FloatArray, ImageArray


@dataclass(frozen=True, eq=False)
class TreatedPicture:
    """A picture that may be seen.

    Attributes:
        image_bgr: (H, W, 3).
        hidden_xyxy: (K, 4) rectangles, its pixels, that do not show what was there.
    """

    image_bgr: ImageArray
    hidden_xyxy: FloatArray


class PictureTreatment(Protocol):
    """Hides what must not be seen."""

    def treat(
        self, image_bgr: ImageArray, regions_xyxy: FloatArray | None, background: ImageArray | None
    ) -> TreatedPicture:
        """Return what may be seen of a (H, W, 3) picture, which is not changed.

        Args:
            image_bgr: the picture.
            regions_xyxy: (R, 4) what moves in it, pixels; None where that is unknown, which counts as nothing.
            background: (h, w) brightness of the empty scene; None where it is unknown.
        """
        ...

    def treat_background(self, luma: ImageArray) -> ImageArray:
        """Return what may be seen of the (h, w) brightness of an empty scene, in the same size."""
        ...
