"""The simulated world as a source of frames, with its exact truth."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import cv2

from edge_autotuner.core import Frame, SourceBase, SourceInfo
from edge_autotuner.core.sources import do_nothing
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.simulation.world.backdrop import (
    Backdrop,
    LitScene,
    fog_colour,
    light_scene,
    paint_backdrop,
    paint_sprite_in_place,
)
from edge_autotuner.simulation.world.camera import PinholeCamera, check_picture
from edge_autotuner.simulation.world.conditions import Foliage, WorldConditions
from edge_autotuner.simulation.world.exact import Draws, hashed
from edge_autotuner.simulation.world.layouts import Layout, SceneType, make_layout
from edge_autotuner.simulation.world.lens import Lens
from edge_autotuner.simulation.world.motion_blur import blur_steps, blurred_sprite
from edge_autotuner.simulation.world.night import add_beams_in_place, add_lamps_in_place, beams_of, has_lamps
from edge_autotuner.simulation.world.placing import MARGIN_PX, Placer
from edge_autotuner.simulation.world.schedule import ScriptedConditions
from edge_autotuner.simulation.world.script import WorldScript
from edge_autotuner.simulation.world.shadows import paint_shadows_in_place
from edge_autotuner.simulation.world.sprite import Sprite, SpriteCache
from edge_autotuner.simulation.world.traffic import Demand, Traffic
from edge_autotuner.simulation.world.truth import Placed, WorldTruth

_SHORT_S = 0.01  # nothing is blurred in so short a time


class Schedule(Protocol):
    """What conditions there are at a time."""

    def at(self, time_s: float) -> WorldConditions:
        """Return the conditions at a time, seconds of the video."""
        ...


@dataclass(frozen=True)
class Steady:
    """The same conditions all the time."""

    conditions: WorldConditions = field(default_factory=WorldConditions)

    def at(self, time_s: float) -> WorldConditions:
        """Return the conditions."""
        return self.conditions


@dataclass(frozen=True)
class _Ground:
    """All that changes the backdrop by day."""

    foliage: Foliage
    snow: int
    has_works: bool
    turn: tuple[int, int]


class SimulatedWorld(SourceBase):
    """A fixed camera in a simulated world, as a `FrameSource`. It is never to be shown as real video.

    Frame k follows from the arguments and k alone: frames can be asked for in any order, and nothing grows with them.

    Attributes:
        n_frames: length.
    """

    def __init__(
        self,
        scene: SceneType,
        *,
        camera: int = 0,
        size_wh: SizeWH = (640, 360),
        n_frames: int = 600,
        rate_hz: float = 10.0,
        seed: int = 0,
        schedule: Schedule | None = None,
        layout: Layout | None = None,
    ) -> None:
        """Set the scene up; its first picture is drawn when it is asked for.

        Args:
            scene: type of the scene.
            camera: number of the camera: another one, another layout.
            size_wh: multiples of 8, from 96 to 3840.
            n_frames: length.
            rate_hz: frames per second.
            seed: of people and vehicles, noise and weather.
            schedule: light, weather and what happens; None: a calm summer noon.
            layout: instead of that of the scene and camera.

        Raises:
            ConfigError: there is no such scene, or a number is out of range.
        """
        check_picture(size_wh, n_frames, rate_hz)
        self._layout = layout or make_layout(scene, camera, size_wh)
        self._schedule, self._seed, self.n_frames = schedule or Steady(), hashed(seed, camera), n_frames
        settings = f"world {scene} {camera} {size_wh} {n_frames} {rate_hz} {seed} {self._schedule} {layout}"
        digest = hashlib.sha256(settings.encode()).hexdigest()
        self.info = SourceInfo("video", f"simulated-{scene}-{camera}-{seed}", size_wh, n_frames, rate_hz, digest)
        self._traffic = Traffic(self._layout, self._seed, self._demand_at)
        self._sprites = SpriteCache()
        self._placer = Placer(size_wh, self._sprites)
        self._lens = Lens(size_wh, self._seed)
        self._camera = lru_cache(8)(self._turned_camera)
        self._backdrop = lru_cache(4)(self._paint)
        self._lit = lru_cache(6)(self._light)

    def frames(self, *, while_waiting: Callable[[], None] = do_nothing) -> Iterator[Frame]:
        """Yield all frames in order."""
        return (self.frame(index) for index in range(self.n_frames))

    def frame(self, index: int) -> Frame:
        """Return one frame."""
        image_bgr = self.image(index)
        luma = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY)
        return Frame(index, index / self.info.rate_hz, luma, lambda: image_bgr)

    def image(self, index: int) -> ImageArray:
        """Return the (H, W, 3) uint8 picture of one frame."""
        conditions = self.conditions(index)
        lit = self._lit(_ground_only(conditions), _light_only(conditions))
        image = self._cut(lit.image_bgr, self._shake(index, conditions)).copy()
        placed = self._placed(index, conditions)
        self._paint_ground_in_place(image, placed, conditions, index)
        self._paint_things_in_place(image, placed, lit, conditions, index)
        return self._lens.expose(image, conditions, index)

    def _cut(self, with_margin: ImageArray, shake: tuple[int, int]) -> ImageArray:
        width, height = self.info.size_wh
        return with_margin[MARGIN_PX - shake[1] :, MARGIN_PX - shake[0] :][:height, :width]

    def _paint_ground_in_place(
        self, image: ImageArray, placed: list[Placed], conditions: WorldConditions, index: int
    ) -> None:
        """Draw shadows and the light of headlamps."""
        camera, shake = self._camera(conditions.turn), self._shake(index, conditions)
        things = [one.thing for one in placed if one.thing is not None]
        sun = self._layout.sun if conditions.sun is None else (conditions.sun[0] / 10, conditions.sun[1] / 10)
        paint_shadows_in_place(image, things, camera, shadow=conditions.shadow, sun=sun, shake=shake)
        if conditions.has_beams:
            light = beams_of(things, camera, shake, conditions.lamp_strength)
            if light is not None:
                add_beams_in_place(image, self._cut(self._backdrop_of(conditions).day_bgr, shake), light)

    def _paint_things_in_place(
        self, image: ImageArray, placed: list[Placed], lit: LitScene, conditions: WorldConditions, index: int
    ) -> None:
        fog, is_plain = fog_colour(conditions), conditions.ambient == (128, 128, 128)
        moved, has_beams = self._moved(placed, index, conditions), conditions.has_beams
        for one in placed:
            light = None if is_plain else _light_at(lit, one.xy)
            through = conditions.fog_at(one.depth_m)
            sprite = self._sprite_of(one, moved)
            paint_sprite_in_place(image, sprite, one.xy, light, (through, fog) if through < 128 else None)
            if has_beams and has_lamps(one.thing):
                add_lamps_in_place(image, one)

    def _moved(self, placed: list[Placed], index: int, conditions: WorldConditions) -> dict[int, tuple[int, int]]:
        """Return how far things moved while the shutter was open, pixels, by track; nothing by day."""
        if conditions.exposure_s < _SHORT_S:
            return {}
        opened_s = index / self.info.rate_hz - conditions.exposure_s
        before = {thing.track_id: thing.place for thing in self._traffic.things_at(opened_s)}
        return blur_steps(placed, before, self._camera(conditions.turn))

    def _sprite_of(self, one: Placed, moved: dict[int, tuple[int, int]]) -> Sprite:
        step = moved.get(one.thing.track_id) if one.thing is not None else None
        if step is None:
            return one.sprite
        return self._sprites.get((one.sprite, step), lambda: blurred_sprite(one.sprite, step))

    def truth(self, index: int) -> WorldTruth:
        """Return the truth of a frame, computed on request."""
        return WorldTruth(self._placed(index, self.conditions(index)), self.info.size_wh)

    def conditions(self, index: int) -> WorldConditions:
        """Return light, weather and the rest in a frame.

        Raises:
            ValueError: there is no such frame.
        """
        if not 0 <= index < self.n_frames:
            raise ValueError(f"frame index must be in 0..{self.n_frames - 1}, got {index}")
        return self._schedule.at(index / self.info.rate_hz)

    @property
    def n_cached_bytes(self) -> int:
        """Memory of the pictures of objects that are kept; it is bounded."""
        return self._sprites.n_bytes

    def _demand_at(self, time_s: float) -> Demand:
        return self._schedule.at(max(0.0, time_s)).demand

    def _turned_camera(self, turn: tuple[int, int]) -> PinholeCamera:
        return self._layout.camera.turned(turn[0] / 100, turn[1] / 100)

    def _backdrop_of(self, conditions: WorldConditions) -> Backdrop:
        return self._backdrop(_ground_only(conditions))

    def _paint(self, ground: _Ground) -> Backdrop:
        camera = self._camera(ground.turn).with_margin(MARGIN_PX)
        return paint_backdrop(
            self._layout, camera, foliage=ground.foliage, snow=ground.snow, has_works=ground.has_works
        )

    def _light(self, ground: _Ground, conditions: WorldConditions) -> LitScene:
        return light_scene(self._backdrop(ground), conditions)

    def _shake(self, index: int, conditions: WorldConditions) -> tuple[int, int]:
        reach = min(conditions.shake_px, MARGIN_PX - 1)
        if not reach:
            return 0, 0
        draws = Draws(self._seed, 26, index)
        return draws.below(2 * reach + 1) - reach, draws.below(2 * reach + 1) - reach

    def _placed(self, index: int, conditions: WorldConditions) -> list[Placed]:
        things = list(self._traffic.things_at(index / self.info.rate_hz))
        props = self._backdrop_of(conditions).props
        return self._placer.place(things, self._camera(conditions.turn), props, self._shake(index, conditions))


def open_world(script: WorldScript, *, layout: Layout | None = None) -> SimulatedWorld:
    """Return the camera of a script."""
    return SimulatedWorld(
        script.scene, camera=script.camera, size_wh=script.size_wh, n_frames=script.n_frames, rate_hz=script.rate,
        seed=script.seed, schedule=ScriptedConditions(script), layout=layout,
    )  # fmt: skip


def _ground_only(conditions: WorldConditions) -> _Ground:
    return _Ground(conditions.foliage, conditions.snow, conditions.demand.has_works, conditions.turn)


def _light_only(conditions: WorldConditions) -> WorldConditions:
    """Return the conditions with all that changes the lit scene, and defaults for the rest."""
    return WorldConditions(
        daylight=conditions.daylight, has_infrared=conditions.has_infrared, overcast=conditions.overcast,
        rain=conditions.rain, fog=conditions.fog,
    )  # fmt: skip


def _light_at(lit: LitScene, xy: tuple[int, int]) -> tuple[int, int, int]:
    height, width = lit.light.shape[:2]
    column, row = min(max((xy[0] + MARGIN_PX) // 8, 0), width - 1), min(max((xy[1] + MARGIN_PX) // 8, 0), height - 1)
    blue, green, red = lit.light[row, column].tolist()
    return blue, green, red
