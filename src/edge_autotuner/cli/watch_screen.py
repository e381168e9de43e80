"""What `edge-autotuner watch` prints, and the files that it writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edge_autotuner.capture import open_source
from edge_autotuner.cli.saying import say
from edge_autotuner.config import CaptureConfig, MotionConfig
from edge_autotuner.core import CaptureEvent, SystemClock
from edge_autotuner.evaluation.report import MotionFacts, motion_rows
from edge_autotuner.evaluation.report.charts import clock_text
from edge_autotuner.evaluation.report.wording import percent_text
from edge_autotuner.pipeline.report_facts import motion_facts
from edge_autotuner.pipeline.watch import GateWatch, StatusTicker, WatchStatus, advice
from edge_autotuner.pipeline.watch_outputs import SightPictures, SightVideo
from edge_autotuner.storage.outputs import check_output_file, check_output_folder, check_outputs_differ
from edge_autotuner.storage.own_folders import MARK_NAME


def show_watch(
    address: str,
    config: CaptureConfig,
    *,
    every_s: float,
    duration_s: float | None,
    video: Path | None,
    pictures: Path | None,
    overwrite: bool = False,
) -> None:
    """Watch a source until it ends, print what the gate sees, and complete the files however it ends.

    Args:
        address: a file, a folder, or a camera.
        config: of the gate and of live sources.
        every_s: seconds of the source between two lines, and between two pictures.
        duration_s: stop after this much of the source, seconds; None: at its end.
        video: file for what is seen; None: no video.
        pictures: folder for what is seen; None: no pictures.
        overwrite: replace a video that is there.

    Raises:
        VideoError: the source cannot be read; what was seen until then is shown.
        StorageError: an output cannot be written.
        ConfigError: the name of the video is not usable.
    """
    reads = {"the source": address}
    if video is not None:
        check_output_file(video, option="--video", reads=reads, overwrite=overwrite)
    if pictures is not None:
        check_output_folder(pictures, option="--pictures", reads=reads, own={MARK_NAME})
    check_outputs_differ({"--video": video, "--pictures": pictures})
    clock = SystemClock()
    with _outputs(video, pictures, config.motion, every_s) as outputs:
        camera = open_source(address, config.stream, clock=clock, on_event=_show_event, end_time_s=duration_s)
        say(f"watching {camera.info.name}; press Ctrl-C to stop")
        watch = GateWatch(camera, config, clock=clock, duration_s=duration_s, on_event=_show_event)
        ticker = StatusTicker(every_s, clock)
        try:
            with closing(watch.sights()) as sights:
                for sight in sights:
                    for output in outputs:
                        output.add(sight)
                    status = ticker.status(sight)
                    if status is not None:
                        say(status_line(status))
        finally:
            say(summary_text(motion_facts(watch.summary())))


def status_line(status: WatchStatus) -> str:
    """Return a status in columns."""
    if not status.background_known:
        now = "learning the background"
    elif status.n_regions:
        share = percent_text(status.motion_fraction)
        now = f"1 region covers {share}" if status.n_regions == 1 else f"{status.n_regions} regions cover {share}"
    else:
        now = "no motion"
    still = f"no motion in {percent_text(status.still_fraction)} of {status.n_frames} frames"
    return f"{clock_text(status.time_s):>8}  {now:<24}  {still:<30}  {status.frames_per_s:.1f} frames/s"


def summary_text(facts: MotionFacts) -> str:
    """Return the numbers of a watch as the report shows them, and what to try next."""
    if not facts.n_frames:
        return "no frame received"
    rows = motion_rows(facts)
    width = max(len(name) for name, _ in rows)
    hint = advice(facts)
    return "\n".join(["", *(f"{name:<{width}}  {value}" for name, value in rows), *(["", hint] if hint else [])])


@contextmanager
def _outputs(
    video: Path | None, pictures: Path | None, motion: MotionConfig, every_s: float
) -> Iterator[list[SightVideo | SightPictures]]:
    """Make what was asked for, complete it at the end, and say where it is."""
    outputs: list[SightVideo | SightPictures] = []
    if video is not None:
        outputs.append(SightVideo(video, motion))
    if pictures is not None:
        outputs.append(SightPictures(pictures, motion, every_s))
    try:
        yield outputs
    finally:
        for output in outputs:
            output.close()
            if output.n_written:
                say(output.path)


def _show_event(event: CaptureEvent) -> None:
    say(f"{clock_text(event.time_s):>8}  {event.kind}: {event.detail}")
