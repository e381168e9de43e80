"""Articulated people: a skeleton that walks, runs, stands or rides, dressed, with exact COCO joints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from edge_autotuner.simulation.world.exact import Draws, cosine, sine
from edge_autotuner.simulation.world.sprite import Canvas, Colour, Point3, Sprite, View, shaded

Gait = Literal["walk", "stroll", "run", "stand", "ride"]

JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
"""The 17 joints of COCO, in its order; left is the person's own left."""
BONES = (
    (5, 7), (7, 9), (6, 8), (8, 10), (5, 6), (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
)  # fmt: skip

N_PHASES = 16  # pictures of one stride
STRIDE_HEIGHTS = {"walk": 0.82, "stroll": 0.7, "run": 1.25, "stand": 1.0, "ride": 2.6}
"""Ground covered in one stride (two steps), body heights."""
_SWING = {"walk": 0.068, "stroll": 0.05, "run": 0.115, "stand": 0.004, "ride": 0.0}  # of the thigh, turns
_KNEE = {"walk": 0.15, "stroll": 0.11, "run": 0.27, "stand": 0.0, "ride": 0.0}  # bend of the swinging leg, turns
_ELBOW = {"walk": 0.05, "stroll": 0.035, "run": 0.22, "stand": 0.03, "ride": 0.08}

_SKINS: tuple[Colour, ...] = ((168, 192, 226), (140, 172, 214), (98, 134, 184), (62, 88, 134), (44, 62, 98))
_HAIRS: tuple[Colour, ...] = ((26, 28, 34), (34, 46, 66), (64, 102, 138), (30, 32, 40), (142, 142, 142))
_TOPS: tuple[Colour, ...] = (
    (52, 46, 160), (150, 92, 42), (60, 58, 58), (218, 218, 220), (86, 128, 62), (48, 130, 196), (120, 60, 92),
    (40, 40, 44), (176, 158, 120), (96, 96, 100), (52, 168, 210), (110, 72, 40),
)  # fmt: skip
_LEGS: tuple[Colour, ...] = ((88, 62, 44), (46, 44, 46), (60, 74, 92), (104, 88, 72), (128, 140, 150), (40, 36, 34))


@dataclass(frozen=True)
class Body:
    """How somebody is built and dressed.

    Attributes:
        height_m: standing.
        girth: thickness of body and limbs, 1 for average.
        skin, hair, top, legs, shoes: colours.
        has_long_hair, has_skirt, has_shorts, has_short_sleeves, has_backpack: what changes the outline.
    """

    height_m: float
    girth: float
    skin: Colour
    hair: Colour
    top: Colour
    legs: Colour
    shoes: Colour
    has_long_hair: bool = False
    has_skirt: bool = False
    has_shorts: bool = False
    has_short_sleeves: bool = False
    has_backpack: bool = False

    @classmethod
    def number(cls, number: int) -> Body:
        """Return one of as many people as there are numbers."""
        draws = Draws(77, number)
        is_child = draws.unit() < 0.1
        is_woman = draws.unit() < 0.5
        height = draws.between(1.15, 1.45) if is_child else draws.between(1.56, 1.78) if is_woman else (
            draws.between(1.66, 1.95)
        )  # fmt: skip
        has_skirt = is_woman and draws.unit() < 0.3
        return cls(
            round(height, 2), round(draws.between(0.88, 1.25), 2), draws.choice(_SKINS), draws.choice(_HAIRS),
            draws.choice(_TOPS), draws.choice(_LEGS), draws.choice(((34, 34, 36), (200, 200, 205), (50, 70, 100))),
            has_long_hair=is_woman and draws.unit() < 0.7, has_skirt=has_skirt,
            has_shorts=not has_skirt and draws.unit() < 0.25, has_short_sleeves=draws.unit() < 0.4,
            has_backpack=draws.unit() < 0.2,
        )  # fmt: skip


@dataclass(frozen=True)
class Pose:
    """Where all points of a body are: forward, left, up, metres from the place it stands on.

    Attributes:
        joints: the 17 points of `JOINTS`.
        toes: left and right.
        head: middle of the skull.
    """

    joints: tuple[Point3, ...]
    toes: tuple[Point3, Point3]
    head: Point3


@lru_cache(maxsize=4096)
def pose_of(height_m: float, gait: Gait, phase: int) -> Pose:
    """Return the pose in one of the `N_PHASES` moments of a stride."""
    turn, h = phase / N_PHASES, height_m
    lean = 0.03 if gait == "run" else 0.045 if gait == "ride" else 0.006  # turns
    legs = (_leg(h, gait, turn + begin, side) for side, begin in ((1, 0.0), (-1, 0.5)))
    hips, knees, ankles, toes = zip(*legs, strict=True)
    lowest = min(point[2] for point in (*ankles, *toes))
    rise = 0.95 if gait == "ride" else 0.035 * h - lowest
    chest = 0.29 * h
    neck = (chest * sine(lean), 0.0, chest * cosine(lean))
    arms = (_arm(h, gait, turn + begin, side, neck) for side, begin in ((1, 0.5), (-1, 0.0)))
    shoulders, elbows, wrists = zip(*arms, strict=True)
    forward = neck[0] + 0.12 * h * sine(lean)
    head = (forward + 0.012 * h, 0.0, neck[2] + 0.115 * h)
    joints = (*_face(head, h), *shoulders, *elbows, *wrists, *hips, *knees, *ankles)
    left_toe, right_toe = (_raised(point, rise) for point in toes)
    return Pose(tuple(_raised(point, rise) for point in joints), (left_toe, right_toe), _raised(head, rise))


def _leg(h: float, gait: Gait, turn: float, side: int) -> tuple[Point3, Point3, Point3, Point3]:
    """Return hip, knee, ankle and toe at a moment of this leg's own stride, from the height of the hips."""
    if gait == "ride":
        hip: Point3 = (0.0, side * 0.055 * h, 0.0)
        swing, bend = 0.17 + 0.05 * sine(turn), 0.2 + 0.07 * cosine(turn)
    else:
        hip = (0.0, side * 0.052 * h, 0.0)
        swing = _SWING[gait] * sine(turn) + 0.012
        forward = max(0.0, cosine(turn))
        bend = 0.015 + _KNEE[gait] * forward * forward
    knee = _below(hip, swing, 0.245 * h)
    ankle = _below(knee, swing - bend, 0.235 * h)
    return hip, knee, ankle, _below(ankle, 0.23 + 0.5 * (swing - bend), 0.1 * h)


def _arm(h: float, gait: Gait, turn: float, side: int, neck: Point3) -> tuple[Point3, Point3, Point3]:
    """Return shoulder, elbow and wrist at a moment of this arm's own stride."""
    shoulder = (neck[0], side * 0.112 * h, neck[2] - 0.01 * h)
    swing = 0.16 if gait == "ride" else 0.75 * _SWING[gait] * sine(turn) + 0.005
    elbow = _below(shoulder, swing, 0.172 * h, side * 0.02 * h)
    return shoulder, elbow, _below(elbow, swing + _ELBOW[gait], 0.155 * h, side * 0.006 * h)


def _face(head: Point3, h: float) -> tuple[Point3, ...]:
    """Return nose, eyes and ears, left before right."""
    return (
        (head[0] + 0.06 * h, 0.0, head[2] - 0.012 * h),
        *((head[0] + 0.048 * h, side * 0.019 * h, head[2] + 0.008 * h) for side in (1, -1)),
        *((head[0] - 0.002 * h, side * 0.044 * h, head[2] - 0.002 * h) for side in (1, -1)),
    )


def _below(start: Point3, swing: float, length: float, outward: float = 0.0) -> Point3:
    """Return the end of a hanging limb, swung forward by this many turns."""
    return start[0] + length * sine(swing), start[1] + outward, start[2] - length * cosine(swing)


def _raised(point: Point3, rise: float) -> Point3:
    return point[0], point[1], point[2] + rise


@dataclass(frozen=True)
class _Part:
    """A part of the body: balls whose outline it fills, and the joints that it carries."""

    balls: Sequence[tuple[Point3, float]]
    colour: Colour
    joints: tuple[int, ...] = ()
    nearer_m: float = 0.0
    is_round: bool = True


def _parts_of(body: Body, pose: Pose) -> list[_Part]:
    limbs = [part for side in (0, 1) for part in _limbs(body, pose, side)]
    return [*limbs, *_trunk(body, pose), *_head(body, pose)]


def _limbs(body: Body, pose: Pose, side: int) -> list[_Part]:
    """Return the parts of the left (0) or right (1) leg and arm."""
    h, g, j = body.height_m, body.girth, pose.joints
    sleeve = body.skin if body.has_short_sleeves else body.top
    shin = body.skin if body.has_shorts or body.has_skirt else body.legs
    shoulder, elbow, wrist = j[5 + side], j[7 + side], j[9 + side]
    hip, knee, ankle = j[11 + side], j[13 + side], j[15 + side]
    toe = pose.toes[side]
    return [
        _Part([(hip, 0.052 * h * g), (knee, 0.033 * h * g)], body.legs, (13 + side,)),
        _Part([(knee, 0.032 * h * g), (ankle, 0.021 * h * g)], shin, (15 + side,)),
        _Part([(_raised(ankle, -0.012 * h), 0.022 * h), (toe, 0.015 * h)], body.shoes, (15 + side,), 0.0, False),
        _Part([(shoulder, 0.034 * h * g), (elbow, 0.026 * h * g)], body.top, (7 + side,)),
        _Part([(elbow, 0.024 * h * g), (wrist, 0.017 * h * g)], sleeve, (9 + side,)),
        _Part([(wrist, 0.018 * h), (_toward(elbow, wrist, 1.35), 0.017 * h)], body.skin, (9 + side,), 0.0, False),
    ]


def _trunk(body: Body, pose: Pose) -> list[_Part]:
    """Return the trunk, with a skirt and a backpack if there are."""
    h, g, j = body.height_m, body.girth, pose.joints
    waist = [_toward(j[11 + s], j[5 + s], 0.35) for s in (0, 1)]
    torso = [(j[5], 0.036 * h * g), (j[6], 0.036 * h * g), (waist[0], 0.05 * h * g), (waist[1], 0.05 * h * g),
             (_toward(j[11], j[5], 0.05), 0.056 * h * g), (_toward(j[12], j[6], 0.05), 0.056 * h * g)]  # fmt: skip
    parts = [_Part(torso, body.top, (5, 6, 11, 12), 0.02)]
    if body.has_skirt:
        hem = [(_toward(j[11 + s], j[13 + s], 0.95), 0.06 * h * g) for s in (0, 1)]
        parts.append(_Part([(j[11], 0.058 * h * g), (j[12], 0.058 * h * g), *hem], body.legs, (11, 12), 0.05))
    if body.has_backpack:
        back = (j[5][0] - 0.1 * h, 0.0, j[5][2] - 0.1 * h)
        parts.append(_Part([(back, 0.075 * h), (_raised(back, -0.1 * h), 0.08 * h)], shaded(body.legs, 0.7)))
    return parts


def _head(body: Body, pose: Pose) -> list[_Part]:
    """Return neck, skull and hair."""
    h, head, shoulder = body.height_m, pose.head, pose.joints[5]
    neck = [((shoulder[0], 0.0, shoulder[2]), 0.03 * h), (_raised(head, -0.04 * h), 0.028 * h)]
    ahead = (head[0] + 0.018 * h, 0.0, head[2] - 0.03 * h)
    skull = [(_raised(head, 0.006 * h), 0.05 * h), (ahead, 0.036 * h)]
    hair = [((head[0] - 0.018 * h, 0.0, head[2] + 0.02 * h), 0.05 * h), (_raised(head, 0.026 * h), 0.044 * h)]
    if body.has_long_hair:
        hair.append(((head[0] - 0.03 * h, 0.0, head[2] - 0.07 * h), 0.045 * h))
    return [_Part(neck, body.skin, is_round=False), _Part(skull, body.skin, (0, 1, 2, 3, 4)), _Part(hair, body.hair)]


def _toward(start: Point3, end: Point3, share: float) -> Point3:
    return (
        start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1]),
        start[2] + share * (end[2] - start[2]),
    )  # fmt: skip


def _far_to_near(parts: list[_Part], view: View) -> list[_Part]:
    def distance(part: _Part) -> float:
        return math.fsum(view.distance(ball[0]) for ball in part.balls) / len(part.balls) - part.nearer_m

    return sorted(parts, key=distance, reverse=True)


def draw_person(body: Body, gait: Gait, phase: int, view: View) -> Sprite:
    """Draw a person who stands on the anchor and looks forward."""
    pose = pose_of(body.height_m, gait, phase)
    raised = 0.5 if gait == "ride" else 0.0
    canvas = Canvas(view, 0.42 * body.height_m, body.height_m + raised)
    light = 0.012 * body.height_m * view.px_per_m
    for part in _far_to_near(_parts_of(body, pose), view):
        canvas.hull(part.balls, shaded(part.colour, 0.78) if part.is_round else part.colour)
        if part.is_round:
            slim = [(centre, 0.72 * radius) for centre, radius in part.balls]
            canvas.hull(slim, part.colour, shift_px=(-light, -0.6 * light))
    if view.px_per_m * body.height_m > 40:
        _draw_face(canvas, body, pose)
    return canvas.finish()


def _draw_face(canvas: Canvas, body: Body, pose: Pose) -> None:
    view, h = canvas.view, body.height_m
    for joint in (1, 2):
        if view.distance(pose.joints[joint]) < view.distance(pose.head) - 0.012 * h:
            canvas.hull([(pose.joints[joint], 0.009 * h)], (40, 44, 56))
    if view.distance(pose.joints[0]) < view.distance(pose.head):
        canvas.hull([(pose.joints[0], 0.01 * h)], shaded(body.skin, 0.8))
        mouth = [(pose.joints[0][0] - 0.006 * h, side * 0.012 * h, pose.joints[0][2] - 0.026 * h) for side in (1, -1)]
        canvas.line(mouth, shaded(body.skin, 0.6), 0.008)


@dataclass(frozen=True, eq=False)
class SpriteJoints:
    """The joints of a drawn person.

    Attributes:
        offsets_xy: (17, 2) pixels from the anchor.
        faces_camera: (17,) bool: not hidden behind the person's own body.
    """

    offsets_xy: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    faces_camera: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


@lru_cache(maxsize=2048)
def joints_of(body: Body, gait: Gait, phase: int, view: View) -> SpriteJoints:
    """Return where the joints of the picture of `draw_person` are, and which of them the body itself hides."""
    pose = pose_of(body.height_m, gait, phase)
    parts = _far_to_near(_parts_of(body, pose), view)
    canvas = Canvas(view, 0.5 * body.height_m, body.height_m + 0.6)
    for number, part in enumerate(parts, start=1):
        canvas.hull(part.balls, (number, 0, 0))
    owners, offsets, seen = canvas.pixels[..., 0], view.flat(pose.joints), []
    for joint, (x, y) in enumerate(offsets):
        column, row = (int((v + a) * canvas.n_sub) for v, a in zip((x, y), canvas.anchor, strict=True))
        owner = int(owners[min(max(row, 0), owners.shape[0] - 1), min(max(column, 0), owners.shape[1] - 1)])
        own = next(n for n, part in enumerate(parts, start=1) if joint in part.joints)
        seen.append(owner == 0 or _is_same_place(parts[owner - 1], parts[own - 1], joint, pose, view))
    return SpriteJoints(np.array(offsets, np.float32), np.array(seen, np.bool_))


def _is_same_place(owner: _Part, own: _Part, joint: int, pose: Pose, view: View) -> bool:
    """Whether the part seen at a joint carries or touches it, on its near side."""
    if joint in owner.joints or owner is own:
        depth, head = view.distance(pose.joints[joint]), view.distance(pose.head)
        return joint > 4 or depth < head + 0.02  # features of the face are seen from its front only
    return min(
        math.dist(centre, pose.joints[joint]) - radius
        for centre, radius in owner.balls
    ) < 0.0  # fmt: skip
