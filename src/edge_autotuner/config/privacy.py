"""Settings that say which pictures may leave the machine, and what is hidden in them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge_autotuner.config.base import FrozenConfig


class PrivacyConfig(FrozenConfig):
    """What others get to see of a camera, and what is hidden already on the disk.

    Areas are shown where something moves: motion regions with `annotation.crop_margin` and `annotation.min_crop_px`.
    What is hidden gets no label, and training takes it neither for an object nor for background.
    """

    send: Literal["all", "crops"] = Field(
        "all",
        description="What a teacher at the service is sent: all views that `annotation.look` asks for, or crops of "
        "what moves only. With crops, whole frames leave for a training elsewhere only if `outside` hides the rest.",
    )
    outside: Literal["keep", "blur", "background"] = Field(
        "keep",
        description="What becomes of a frame outside of these areas: keep; blur beyond recognition; background: show "
        "the brightness of the camera's background instead, with blurred colours (blur where no background is known).",
    )
    hide_classes: tuple[str, ...] = Field(
        (),
        description="Objects of these classes are blurred beyond recognition where `hide_with` finds them; it misses "
        "some. They cannot be in `annotation.classes`.",
    )
    hide_with: str | None = Field(
        None,
        description="Edge model that finds them: a known model's name, a bundle or a weights file; null: `edge_model` "
        "as these settings name it.",
    )
    hide_min_score: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Boxes from this score on are hidden; lower hides more, also what is something else.",
    )
    hide_margin: float = Field(
        0.2, ge=0, le=2, description="Boxes are widened on each side by this share of their size."
    )
    apply: Literal["outgoing", "at_rest"] = Field(
        "outgoing",
        description="outgoing: pictures are treated before they leave; at_rest: `outside` and `hide_classes` already "
        "before they are stored, so that nobody, this machine included, keeps the original.",
    )

    @property
    def shows_regions_only(self) -> bool:
        """Whether nothing but what moves may be seen."""
        return self.send == "crops" or self.outside != "keep"

    @property
    def changes_pictures(self) -> bool:
        """Whether anything is hidden in frames."""
        return self.outside != "keep" or bool(self.hide_classes)

    @property
    def is_on(self) -> bool:
        """Whether any rule limits what leaves."""
        return self.shows_regions_only or self.changes_pictures

    @property
    def treats_stored_pictures(self) -> bool:
        """Whether frames are changed before they are stored."""
        return self.apply == "at_rest" and self.changes_pictures
