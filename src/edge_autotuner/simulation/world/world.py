"""The simulated world as a source of frames, with its exact truth."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

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
from edge_autotuner.simulation.world.conditions import WorldConditions
from edge_autotuner.simulation.world.exact import Draws, cosine, hashed, sine
from edge_autotuner.simulation.world.layouts import Layout, SceneType, make_layout
from edge_autotuner.simulation.world.lens import Lens
from edge_autotuner.simulation.world.people import draw_person
from edge_autotuner.simulation.world.schedule import ScriptedConditions
from edge_autotuner.simulation.world.script import WorldScript
from edge_autotuner.simulation.world.sprite import (
    DEPRESSION_BINS,
    YAW_BINS,
    Sprite,
    SpriteCache,
    View,
    scale_number,
)
from edge_autotuner.simulation.world.traffic import Demand, Thing, Traffic
from edge_autotuner.simulation.world.truth import Placed, WorldTruth, phase_of
from edge_autotuner.simulation.world.vehicles import draw_vehicle

_MARGIN_PX = 16
_NEAREST_M = 3.0


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
        lit = self._lit(conditions.season, conditions.snow, conditions.demand.has_works, conditions.turn,
                        _light_only(conditions))  # fmt: skip
        dx, dy = self._shake(index, conditions)
        width, height = self.info.size_wh
        image = lit.image_bgr[_MARGIN_PX - dy :, _MARGIN_PX - dx :][:height, :width].copy()
        placed = self._placed(index, conditions)
        if conditions.shadow or not conditions.is_infrared:
            self._paint_shadows_in_place(image, placed, conditions, (dx, dy))
        fog = fog_colour(conditions)
        is_plain = conditions.ambient == (128, 128, 128)
        for one in placed:
            light = None if is_plain else _light_at(lit, one.xy)
            through = conditions.fog_at(one.depth_m)
            paint_sprite_in_place(image, one.sprite, one.xy, light, (through, fog) if through < 128 else None)
            if conditions.daylight < 12 and one.thing is not None and one.thing.model is not None:
                self._paint_headlamps_in_place(image, one, conditions)
        return self._lens.expose(image, conditions, index)

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

    def _paint(self, season: str, snow: int, has_works: bool, turn: tuple[int, int]) -> Backdrop:
        camera = self._camera(turn).with_margin(_MARGIN_PX)
        return paint_backdrop(self._layout, camera, season=season, snow=snow, has_works=has_works)  # type: ignore[arg-type]

    def _light(
        self, season: str, snow: int, has_works: bool, turn: tuple[int, int], conditions: WorldConditions
    ) -> LitScene:
        return light_scene(self._backdrop(season, snow, has_works, turn), conditions)

    def _shake(self, index: int, conditions: WorldConditions) -> tuple[int, int]:
        reach = min(conditions.shake_px, _MARGIN_PX - 1)
        if not reach:
            return 0, 0
        draws = Draws(self._seed, 26, index)
        return draws.below(2 * reach + 1) - reach, draws.below(2 * reach + 1) - reach

    def _placed(self, index: int, conditions: WorldConditions) -> list[Placed]:
        """Return the visible objects, far to near, with the trees and posts that cover something."""
        camera, shake = self._camera(conditions.turn), self._shake(index, conditions)
        width, height = self.info.size_wh
        placed = []
        for thing in self._traffic.things_at(index / self.info.rate_hz):
            depth = camera.depth_of(*thing.place)
            if depth < _NEAREST_M:
                continue
            x, y = camera.project(*thing.place)
            reach_m = 1.0 if thing.model is None else thing.model.size.length / 2 + 0.5
            reach, high = reach_m * camera.focal_px / depth, (reach_m + 4.0) * camera.focal_px / depth
            if not (-reach < x < width + reach and -reach < y < height + high):
                continue
            sprite, view = self._picture(thing, camera, depth)
            one = Placed(sprite, (int(x // 1) + shake[0], int(y // 1) + shake[1]), depth, thing, view)
            x1, y1, x2, y2 = one.rectangle
            if x1 < width and y1 < height and x2 > 0 and y2 > 0:
                placed.append(one)
        placed.sort(key=_paint_order)
        return self._with_props(placed, conditions, shake)

    def _with_props(self, placed: list[Placed], conditions: WorldConditions, shake: tuple[int, int]) -> list[Placed]:
        backdrop = self._backdrop(conditions.season, conditions.snow, conditions.demand.has_works, conditions.turn)
        rectangles = [other.rectangle for other in placed]
        covering, n_behind = [], 0
        for prop in backdrop.props:  # far to near, as the things are
            one = Placed(prop.sprite, (prop.xy[0] - _MARGIN_PX + shake[0], prop.xy[1] - _MARGIN_PX + shake[1]),
                          prop.depth_m)  # fmt: skip
            while n_behind < len(placed) and placed[n_behind].depth_m > one.depth_m:
                n_behind += 1
            x1, y1, x2, y2 = one.rectangle
            if any(a1 < x2 and x1 < a2 and b1 < y2 and y1 < b2 for a1, b1, a2, b2 in rectangles[:n_behind]):
                covering.append(one)
        return sorted([*placed, *covering], key=_paint_order) if covering else placed

    def _picture(self, thing: Thing, camera: PinholeCamera, depth: float) -> tuple[Sprite, View]:
        x, y = camera.aligned(*thing.place)
        azimuth, depression = camera.view_angles(x, y)
        # headings are counted from X to Y, yaw from the line of sight to the right
        yaw = 0.25 - thing.heading + camera.yaw_deg / -360 - azimuth
        model, body = thing.model, thing.body
        coarse = 1 if model is not None else 2  # steps of yaw and size; people move their limbs, too
        view = View(
            int((yaw * YAW_BINS / coarse + 0.5) // 1) * coarse % YAW_BINS,
            int(depression * DEPRESSION_BINS + 0.5),
            scale_number(camera.focal_px / depth) // coarse * coarse,
        )
        if model is not None:
            return self._sprites.get((model, view), lambda: draw_vehicle(model, view)), view
        assert body is not None, "a thing is a vehicle or a person"
        gait, phase = thing.gait, phase_of(thing)
        return self._sprites.get((body, gait, phase, view), lambda: draw_person(body, gait, phase, view)), view

    def _paint_shadows_in_place(
        self, image: ImageArray, placed: list[Placed], conditions: WorldConditions, shake: tuple[int, int]
    ) -> None:
        camera = self._camera(conditions.turn)
        sun = self._layout.sun if conditions.sun is None else (conditions.sun[0] / 10, conditions.sun[1] / 10)
        width, height = self.info.size_wh
        light = np.full((height, width), 128, np.uint8)
        feet, tips = _outlines([one.thing for one in placed if one.thing is not None], camera, sun, shake)
        for foot, tip in zip(feet, tips, strict=True):
            if conditions.shadow:
                outline = cv2.convexHull(np.concatenate([foot, tip]))
                cv2.fillConvexPoly(light, outline, 128 - conditions.shadow, cv2.LINE_8, 4)
            cv2.fillConvexPoly(light, cv2.convexHull(foot), min(78, 128 - conditions.shadow), cv2.LINE_8, 4)
        cv2.multiply(image, cv2.cvtColor(light, cv2.COLOR_GRAY2BGR), dst=image, scale=1 / 128)

    def _paint_headlamps_in_place(self, image: ImageArray, one: Placed, conditions: WorldConditions) -> None:
        thing, view = one.thing, one.view
        assert thing is not None, "only vehicles have lamps"
        assert thing.model is not None, "only vehicles have lamps"
        assert view is not None, "things have a view"
        if conditions.is_infrared or thing.model.kind == "bicycle":
            return
        size, (_, cos_yaw, _, _) = thing.model.size, view.angles
        end, colours = (1, ((60, 74, 80), (228, 240, 244))) if cos_yaw < 0.1 else (-1, ((20, 10, 80), (60, 40, 220)))
        for side in (-0.36, 0.36):
            [(dx, dy)] = view.flat([(end * size.length / 2, side * size.width, 0.45 * min(1.5, size.height))])
            centre = int(one.xy[0] + dx), int(one.xy[1] + dy)
            radius = max(1, int(0.16 * view.px_per_m))
            cv2.circle(image, centre, radius, colours[1], -1, cv2.LINE_8)


def open_world(script: WorldScript, *, layout: Layout | None = None) -> SimulatedWorld:
    """Return the camera of a script."""
    return SimulatedWorld(
        script.scene, camera=script.camera, size_wh=script.size_wh, n_frames=script.n_frames, rate_hz=script.rate,
        seed=script.seed, schedule=ScriptedConditions(script), layout=layout,
    )  # fmt: skip


def _paint_order(one: Placed) -> tuple[float, int]:
    """Far to near; a rider comes after the bicycle."""
    return -one.depth_m, 0 if one.thing is None or one.thing.body is None else 1


def _light_only(conditions: WorldConditions) -> WorldConditions:
    """Return the conditions with all that changes the lit scene, and defaults for the rest."""
    return WorldConditions(
        daylight=conditions.daylight, has_infrared=conditions.has_infrared, overcast=conditions.overcast,
        rain=conditions.rain, fog=conditions.fog,
    )  # fmt: skip


def _light_at(lit: LitScene, xy: tuple[int, int]) -> tuple[int, int, int]:
    height, width = lit.light.shape[:2]
    column, row = min(max((xy[0] + _MARGIN_PX) // 8, 0), width - 1), min(max((xy[1] + _MARGIN_PX) // 8, 0), height - 1)
    blue, green, red = lit.light[row, column].tolist()
    return blue, green, red


def _outlines(
    things: list[Thing], camera: PinholeCamera, sun: tuple[float, float], shake: tuple[int, int]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the feet of things and where the sun throws their tops, each (N, 4, 2), fixed point with 4 bits."""
    feet, tips = [], []
    for thing in things:
        if thing.model is not None:
            size = thing.model.size
            long, high = size.length / 2, size.height
            wide = 0.12 if thing.model.kind == "bicycle" else size.width / 2
        else:
            assert thing.body is not None, "a thing is a vehicle or a person"
            long, wide, high = 0.14, 0.2, thing.body.height_m
        c, s = cosine(thing.heading), sine(thing.heading)
        (x, y), ac, as_, bc, bs = thing.place, long * c, long * s, wide * c, wide * s
        foot = ((x + ac - bs, y + as_ + bc), (x + ac + bs, y + as_ - bc), (x - ac + bs, y - as_ - bc),
                (x - ac - bs, y - as_ + bc))  # fmt: skip
        feet.append(foot)
        tips.append([(px + sun[0] * high, py + sun[1] * high) for px, py in foot])
    both = np.array([feet, tips]).reshape(2, -1, 4, 2)
    columns, rows = camera.project_ground(both[..., 0], both[..., 1])
    fixed = np.stack([(columns + shake[0]) * 16, (rows + shake[1]) * 16], axis=-1)
    fixed = np.clip(np.floor(fixed), -(1 << 24), 1 << 24).astype(np.int32)
    return fixed[0], fixed[1]
