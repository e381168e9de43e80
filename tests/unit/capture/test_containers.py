"""A video file that is a playlist must not lead to other files."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from edge_autotuner.capture import VideoFile
from edge_autotuner.capture.video_packets import one_file_options, self_contained_formats
from edge_autotuner.errors import VideoError
from support.cameras.capture_samples import grey_pictures, write_video

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nother.ts\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile other.ts\n"


@pytest.mark.parametrize(("name", "text"), [("list.m3u8", HLS), ("list.ffconcat", CONCAT)])
def test_a_playlist_is_not_followed(tmp_path: Path, name: str, text: str) -> None:
    write_video(tmp_path / "other.ts", grey_pictures(3, (64, 48)), codec="libx264", pix_fmt="yuv420p")
    (tmp_path / name).write_text(text)
    with av.open(str(tmp_path / name)) as container:  # FFmpeg would
        assert sum(1 for _ in container.decode(video=0)) == 3
    with pytest.raises(VideoError, match="cannot be opened as a video"):
        VideoFile(tmp_path / name)


def test_a_name_like_an_address_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "b.ts", grey_pictures(3, (64, 48)), codec="libx264", pix_fmt="yuv420p")
    Path("concat:b.ts").write_bytes(b"no video")
    with pytest.raises(VideoError, match="cannot be opened as a video"):
        VideoFile(Path("concat:b.ts"))


def test_usual_containers_are_allowed() -> None:
    allowed = self_contained_formats().split(",")
    assert {"avi", "matroska", "mov", "mp4", "mpegts", "flv", "asf", "h264", "hevc", "mjpeg", "gif"} <= set(allowed)
    assert {"hls", "concat", "dash", "sdp", "image2", "rtsp"}.isdisjoint(allowed)
    assert one_file_options()["protocol_whitelist"] == "file"
