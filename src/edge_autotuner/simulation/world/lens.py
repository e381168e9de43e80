"""From the scene to the sensor's picture: rain, infrared, dirt, defocus, noise, dead pixels and compression.

Every step is a saturated sum or difference, a mean or a product of whole numbers, which is the same with any
instruction set. The numbers come from tiles made once and cut out at hashed offsets.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.simulation.world.conditions import STEPS, WorldConditions
from edge_autotuner.simulation.world.exact import Draws, bell_noise, dimmed, halved, hashed, mean_of_two

_SPARE_PX = 64  # tiles are larger than the picture by this
_DEAD_ZONES = (0, 3, 5, 9)  # grey levels that compression takes from what differs from its block
_N_STREAKS = 260  # of heavy rain in 640x360


class Lens:
    """Turns clean pictures into those of a camera.

    Args:
        size_wh: of the pictures.
        seed: of noise, drops and dirt.
    """

    def __init__(self, size_wh: SizeWH, seed: int) -> None:
        self._size_wh, self._seed = size_wh, seed
        self._noise = lru_cache(2)(self._noise_tile)
        self._rain = lru_cache(2)(self._rain_tile)
        self._dirt = lru_cache(2)(self._dirt_layers)
        self._zone = lru_cache(2)(self._zone_tile)

    def expose(self, clean_bgr: ImageArray, conditions: WorldConditions, index: int) -> ImageArray:
        """Return the camera's picture of this frame; `clean_bgr` may be overwritten."""
        image = clean_bgr
        draws = Draws(self._seed, 21, index)
        if conditions.rain:
            cv2.add(image, self._rain(conditions.rain)[self._cut(draws)], dst=image)
        if conditions.is_infrared:
            image = _grey(image)
        elif conditions.paleness:
            image = _pale(image, conditions.paleness)
        if conditions.dirt:
            clear, dirt = self._dirt(conditions.dirt)
            cv2.add(dimmed(image, clear), dirt, dst=image)
        for number in range(conditions.defocus):
            image = _blurred(image, -1 if number % 4 >= 2 else 1)
        if conditions.noise_now:
            brighter, darker = self._noise(conditions.noise_now)
            cut = self._cut(draws)
            cv2.add(image, brighter[cut], dst=image)
            cv2.subtract(image, darker[cut], dst=image)
        if conditions.n_dead_pixels:
            self._kill_pixels_in_place(image, conditions.n_dead_pixels)
        if conditions.compression:
            image = _compressed(image, self._zone(conditions.compression))
        return image

    def _cut(self, draws: Draws) -> tuple[slice, slice]:
        """Return rows and columns of a picture's size at a random place of a tile."""
        width, height = self._size_wh
        top, left = draws.below(_SPARE_PX), draws.below(_SPARE_PX)
        return slice(top, top + height), slice(left, left + width)

    def _tile_shape(self) -> tuple[int, int, int]:
        return self._size_wh[1] + _SPARE_PX, self._size_wh[0] + _SPARE_PX, 3

    def _zone_tile(self, compression: int) -> ImageArray:
        width, height = self._size_wh
        return np.full((height, width, 3), _DEAD_ZONES[compression], np.uint8)

    def _noise_tile(self, half_levels: int) -> tuple[ImageArray, ImageArray]:
        noise = bell_noise(self._tile_shape(), half_levels / 2, self._seed, 22)
        return np.maximum(noise, 0).astype(np.uint8), np.maximum(-noise, 0).astype(np.uint8)

    def _rain_tile(self, rain: int) -> ImageArray:
        height, width, _ = self._tile_shape()
        tile = np.zeros((height, width), np.uint8)
        draws = Draws(self._seed, 23)
        length = max(4, height // 14)
        for _ in range(_N_STREAKS * rain * width * height // (STEPS * 704 * 424)):
            x, y, bright = draws.below(width), draws.below(height), draws.below(40) + 14
            long = length // 2 + draws.below(length)
            cv2.line(tile, (x, y - long), (x - long // 7, y), bright, max(1, height // 500), cv2.LINE_8)
        return np.repeat(tile[..., None], 3, axis=2)

    def _dirt_layers(self, dirt: int) -> tuple[ImageArray, ImageArray]:
        """Return the dirt's transmission, out of 128, and the light it adds, each (H, W, 3)."""
        width, height = self._size_wh
        cover = np.zeros((height, width), np.int32)
        rows, columns = np.ogrid[:height, :width]
        draws = Draws(self._seed, 24)
        for _ in range(9):
            x, y = draws.below(width), draws.below(height)
            radius = int(draws.between(0.06, 0.2) * height)
            square = (rows - y) ** 2 + (columns - x) ** 2
            cover = np.maximum(cover, np.maximum(0, 128 - square * 128 // (radius * radius)))
        cover = cover * 3 * dirt // (4 * STEPS)  # of 128
        clear = np.repeat((128 - cover).astype(np.uint8)[..., None], 3, axis=2)
        return clear, (cover[..., None] * np.array((92, 104, 112)) // 128).astype(np.uint8)

    def _kill_pixels_in_place(self, image: ImageArray, n: int) -> None:
        width, height = self._size_wh
        for number in range(n):
            spot = hashed(self._seed, 25, number)
            image[spot % height, (spot >> 20) % width] = 255


def _grey(image: ImageArray) -> ImageArray:
    """Return the picture without colour: 1/8 blue, 9/16 green, 5/16 red, rounded down."""
    blue, green, red = (part.astype(np.uint16) for part in cv2.split(image))
    grey = ((2 * blue + 9 * green + 5 * red) >> 4).astype(np.uint8)
    return np.asarray(cv2.merge([grey, grey, grey]))


def _pale(image: ImageArray, paleness: int) -> ImageArray:
    """Return the picture with less colour and lifted blacks, as a sensor at its highest gain gives it."""
    green = image[..., 1]
    grey = cv2.merge([green, green, green])
    for _ in range(1 if paleness <= 8 else 2):
        image = mean_of_two(image, grey)
    return np.asarray(cv2.add(image, (paleness // 2,) * 3 + (0,)))


def _blurred(image: ImageArray, right: int) -> ImageArray:
    """Return the picture averaged over 2x2 pixels, which moves it by half a pixel right (1) and up, or back (-1)."""
    wide = mean_of_two(image, np.roll(image, right, 1))
    return mean_of_two(wide, np.roll(wide, -right, 0))


def _compressed(image: ImageArray, zone: ImageArray) -> ImageArray:
    """Return the picture as a coarse codec keeps it: small differences from the mean of a block are lost."""
    height, width = image.shape[:2]
    means = halved(halved(halved(image)))  # BLOCK_PX is 8
    blocks = cv2.resize(means, (width, height), interpolation=cv2.INTER_NEAREST)
    above = cv2.subtract(cv2.subtract(image, blocks), zone)
    below = cv2.subtract(cv2.subtract(blocks, image), zone)
    return np.asarray(cv2.subtract(cv2.add(blocks, above), below))
