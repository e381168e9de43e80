"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder of the run, for all its files.")]
Folder = Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)]
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with settings; see `config show`.")]
Source = Annotated[
    str,
    typer.Argument(
        help=(
            "Fixed camera: a video file, a folder of pictures, an address such as rtsp://camera/stream, or a "
            "webcam (/dev/video0)."
        ),
        show_default=False,
    ),
]
COLLECT_PANEL = "Capture"
Duration = Annotated[
    str | None,
    typer.Option(help="Time to watch a live camera, e.g. 2h. Default: 1h.", rich_help_panel=COLLECT_PANEL),
]
Realtime = Annotated[
    bool | None,
    typer.Option(
        "--realtime", help="Play a recording at its own pace, as if it were live.", rich_help_panel=COLLECT_PANEL
    ),
]
Setting = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Any setting, e.g. training.max_lr=0.0005."),
]

Replay = Annotated[
    Path | None,
    typer.Option("--replay", help="Folder of the replay reservoir; created if missing. Default: no replay."),
]

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="YAML file with the settings of the service.", show_default=False)
]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data folder of the service. Default: server-data.", show_default=False)
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        envvar="EDGE_AUTOTUNER_DATABASE",
        help="Database URL: sqlite:///FILE or postgresql://USER@HOST/NAME. Default: from the settings.",
        show_default=False,
        show_envvar=True,
    ),
]

Url = Annotated[
    str,
    typer.Option("--url", envvar="EDGE_AUTOTUNER_SERVICE", help="URL of the service.", show_default=False),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(help="File with the token. Default: environment variable EDGE_AUTOTUNER_TOKEN.", show_default=False),
]
CaFile = Annotated[
    Path | None,
    typer.Option(help="CA bundle (PEM) to verify the service with. Default: the system's.", show_default=False),
]
