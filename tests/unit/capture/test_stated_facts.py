"""One test for each row of the table in docs/how-to/sources.md: what files state of themselves."""

from __future__ import annotations

import base64
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.container import OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from edge_autotuner.capture import PictureFolder, VideoFile
from edge_autotuner.core.types import ImageArray
from edge_autotuner.errors import VideoError
from support.cameras.stated_videos import moving_square, write_stated

_BT601, _BT709, _LIMITED, _FULL = 5, 1, 1, 2
_RED_BGR = (30, 90, 200)
_CMYK_JPEG = (  # 16x16 pixels of that colour, written by Pillow
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwANCQoLCggNCwoLDg4NDxMgFRMSEhMnHB4XIC4pMTAuKS0sMzpKPjM2RjcsLUBXQUZMTlJTUjI+WmFaUGBKUVJP"
    "/8AAFAgAEAAQBEMRAE0RAFkRAEsRAP/EABcAAQEBAQAAAAAAAAAAAAAAAAAGBQf/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oADgRDAE0AWQBLAAA/AKxk"
    "IN04AAAB/9k="
)


def _colour(size_wh: tuple[int, int] = (64, 48)) -> ImageArray:
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    image[...] = _RED_BGR
    return image


def _pixel_shape(stream: VideoStream) -> None:
    stream.codec_context.sample_aspect_ratio = Fraction(4, 3)


def _hdr(stream: VideoStream) -> None:
    stream.codec_context.color_trc = 16


def _ten_degrees(stream: VideoStream) -> None:
    ones = [round(value * 65536) for value in (0.985, 0.174, 0, -0.174, 0.985, 0, 0, 0)]
    stream.set_display_matrix([*ones, 1 << 30])


@pytest.mark.parametrize(
    ("state", "options", "words"),
    [
        pytest.param(_pixel_shape, {}, "has non-square pixels (4:3)", id="anamorphic"),
        pytest.param(_hdr, {}, "is HDR (PQ)", id="HDR"),
        pytest.param(_ten_degrees, {}, "not a multiple of 90 degrees", id="turned by ten degrees"),
        pytest.param(lambda stream: None, {"x264-params": "interlaced=1"}, "is interlaced", id="interlaced"),
    ],
)
def test_what_is_not_followed_is_said(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    state: Callable[[VideoStream], None],
    options: dict[str, str],
    words: str,
) -> None:
    write_stated(tmp_path / "a.mp4", moving_square(3), state=state, options=options)
    video = VideoFile(tmp_path / "a.mp4")
    assert words in caplog.text
    assert [frame.size_wh for frame in video.frames()] == [(64, 48)] * 3  # stored pixels


def test_a_usual_video_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_stated(tmp_path / "a.mp4", moving_square(3))
    list(VideoFile(tmp_path / "a.mp4").frames())
    assert caplog.text == ""


def test_pixels_that_are_square_but_for_rounding_say_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def almost_square(stream: VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(255, 254)

    write_stated(tmp_path / "a.mp4", moving_square(3), state=almost_square)
    list(VideoFile(tmp_path / "a.mp4").frames())
    assert caplog.text == ""


def test_the_first_of_several_streams_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_stated(tmp_path / "a.mkv", moving_square(3), n_streams=2)
    assert len(list(VideoFile(tmp_path / "a.mkv").frames())) == 3
    assert "holds 2 video streams; stream 0 is read" in caplog.text


def _add_cover(container: OutputContainer) -> VideoStream:
    cover = container.add_stream("mjpeg", rate=1)
    assert isinstance(cover, VideoStream)
    cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
    cover.disposition = Disposition.attached_pic
    return cover


def test_a_cover_picture_is_not_the_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        cover, film = _add_cover(container), container.add_stream("libx264", rate=10)
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        picture = av.VideoFrame.from_ndarray(_colour((32, 32)), format="bgr24").reformat(format="yuvj420p")
        container.mux([*cover.encode(picture), *cover.encode(None)])
        for image in moving_square(3):
            container.mux(film.encode(av.VideoFrame.from_ndarray(image, format="gray")))
        container.mux(film.encode(None))
    video = VideoFile(tmp_path / "a.mp4")
    assert (video.info.size_wh, len(list(video.frames()))) == ((64, 48), 3)


def test_a_song_with_a_cover_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.mp4"), "w") as container:
        cover, song = _add_cover(container), container.add_stream("aac", rate=8000)
        picture = av.VideoFrame.from_ndarray(_colour((32, 32)), format="bgr24").reformat(format="yuvj420p")
        container.mux([*cover.encode(picture), *cover.encode(None)])
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 8000
        container.mux([*song.encode(sound), *song.encode(None)])
    with pytest.raises(VideoError, match="contains only a cover picture"):
        VideoFile(tmp_path / "song.mp4")


@pytest.mark.parametrize("matrix", [_BT601, _BT709], ids=["BT.601", "BT.709"])
@pytest.mark.parametrize("colour_range", [_LIMITED, _FULL], ids=["limited", "full"])
def test_colour_matrix_and_range_are_followed(tmp_path: Path, matrix: int, colour_range: int) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, colour_range
        frame = av.VideoFrame.from_ndarray(_colour(), format="bgr24")
        coded = frame.reformat(format="yuv444p", dst_colorspace=matrix, dst_color_range=colour_range)
        coded.colorspace, coded.color_range = matrix, colour_range
        container.mux(stream.encode(coded))
        container.mux(stream.encode(None))
    (shown,) = VideoFile(tmp_path / "a.mkv").frames()
    np.testing.assert_allclose(shown.image_bgr[10, 10], _RED_BGR, atol=3)


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuva420p", "gbrp10le", "gray", "ya8", "yuvj420p", "bgr0"])
def test_pixel_formats_come_out_in_8_bits(tmp_path: Path, pix_fmt: str) -> None:
    codec = "mjpeg" if pix_fmt == "yuvj420p" else "ffv1"
    write_stated(tmp_path / "a.mkv", [_colour()] * 2, codec=codec, pix_fmt=pix_fmt)
    for frame in VideoFile(tmp_path / "a.mkv").frames():
        assert frame.luma.dtype == frame.image_bgr.dtype == np.uint8
        assert 95 <= int(frame.luma[10, 10]) <= 130
        if pix_fmt not in {"gray", "ya8"}:
            np.testing.assert_allclose(frame.image_bgr[10, 10], _RED_BGR, atol=6)


def test_cropping_by_the_codec_is_followed(tmp_path: Path) -> None:
    write_stated(tmp_path / "a.mp4", moving_square(3, (66, 50)))  # H.264 stores multiples of 16 and a rectangle
    assert VideoFile(tmp_path / "a.mp4").info.size_wh == (66, 50)


def test_the_number_of_frames_is_counted_not_believed(tmp_path: Path) -> None:
    write_stated(tmp_path / "a.avi", moving_square(7), codec="mpeg4")
    data = bytearray((tmp_path / "a.avi").read_bytes())
    at = data.index(b"avih") + 8 + 16  # the number of frames in the main header
    assert int.from_bytes(data[at : at + 4], "little") == 7
    data[at : at + 4] = (70_000).to_bytes(4, "little")
    (tmp_path / "a.avi").write_bytes(data)
    video = VideoFile(tmp_path / "a.avi")
    assert video.info.n_frames == len(list(video.frames())) == 7


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda image: image),
        (2, np.fliplr),
        (3, lambda image: np.rot90(image, 2)),
        (4, np.flipud),
        (5, lambda image: np.transpose(image, (1, 0, 2))),
        (6, lambda image: np.rot90(image, -1)),
        (7, lambda image: np.rot90(np.transpose(image, (1, 0, 2)), 2)),
        (8, np.rot90),
    ],
)
def test_exif_orientation_of_pictures_is_followed(
    tmp_path: Path, orientation: int, turned: Callable[[ImageArray], ImageArray]
) -> None:
    image = np.repeat(moving_square(1)[0][..., None], 3, axis=2)
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0]) + bytes(4)
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / "1.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    (frame,) = PictureFolder(tmp_path).frames()
    expected = turned(image)
    assert frame.image_bgr.shape == expected.shape
    assert float(np.abs(frame.image_bgr.astype(int) - expected).mean()) < 3


def test_pictures_with_transparency_a_palette_or_one_bit(tmp_path: Path) -> None:
    transparent = np.dstack([_colour(), np.full((48, 64), 10, np.uint8)])
    cv2.imwrite(str(tmp_path / "1.png"), transparent)
    cv2.imwrite(str(tmp_path / "2.png"), np.full((48, 64), 200, np.uint8), [cv2.IMWRITE_PNG_BILEVEL, 1])
    (tmp_path / "3.bmp").write_bytes(_palette_bmp())
    shown = [frame.image_bgr for frame in PictureFolder(tmp_path).frames()]
    assert shown[0][0, 0].tolist() == list(_RED_BGR)
    assert shown[1][0, 0].tolist() == [255, 255, 255]
    assert shown[2][0, 0].tolist() == list(_RED_BGR)


def test_a_cmyk_jpeg_has_its_colours(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(base64.b64decode(_CMYK_JPEG))
    (frame,) = PictureFolder(tmp_path).frames()
    np.testing.assert_allclose(frame.image_bgr[8, 8], _RED_BGR, atol=4)


def test_the_first_of_several_pages_is_used(tmp_path: Path) -> None:
    pages = [_colour(), 255 - _colour()]
    cv2.imwritemulti(str(tmp_path / "1.tiff"), pages)
    (frame,) = PictureFolder(tmp_path).frames()
    assert frame.image_bgr[0, 0].tolist() == list(_RED_BGR)


def _palette_bmp() -> bytes:
    """Return a bitmap of 64x48 pixels, 8 bits, whose palette has one colour."""
    palette = bytes([*_RED_BGR, 0]) + bytes(4 * 255)
    pixels = bytes(64 * 48)
    header = (40).to_bytes(4, "little") + (64).to_bytes(4, "little") + (48).to_bytes(4, "little")
    header += (1).to_bytes(2, "little") + (8).to_bytes(2, "little") + bytes(4) + len(pixels).to_bytes(4, "little")
    header += bytes(8) + (256).to_bytes(4, "little") + bytes(4)
    start = 14 + len(header) + len(palette)
    size = (start + len(pixels)).to_bytes(4, "little")
    return b"BM" + size + bytes(4) + start.to_bytes(4, "little") + header + palette + pixels
