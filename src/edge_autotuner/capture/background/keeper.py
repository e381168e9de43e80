"""The background of one camera over years: learnt, frozen, forgotten and recalled."""

from __future__ import annotations

from edge_autotuner.capture.background.scene_guard import SceneChange, SceneGuard, misfit
from edge_autotuner.config import BackgroundConfig
from edge_autotuner.core import BackgroundModel, CaptureEvent, EventKind, Frame, OnEvent, ignore_event
from edge_autotuner.core.plugins import BACKGROUNDS
from edge_autotuner.core.types import ImageArray

_MIN_LIFE_S = 30.0  # a background that held shorter is not remembered: a lorry stood in front of the camera
_MAX_PAUSE_S = 6.0  # a scene that looks new but does not settle for so long is learnt after all


class BackgroundKeeper:
    """Decides from which frames a background model learns, and which model is in use.

    While the scene looks new, the frames go to a newcomer instead of the model in use, so that this one stays
    as it was. Once the change is certain, the newcomer, or a remembered model that fits the new scene,
    takes over, and one event tells of it.

    `freeze_after_s` only stops the learning; after a reset or a scene change there is learning for that time again.
    A new frame size always starts over: no earlier background fits.

    Args:
        config: method, reset timer, freezing, scene changes.
        on_event: told of changes of the scene.
    """

    def __init__(self, config: BackgroundConfig, *, on_event: OnEvent = ignore_event) -> None:
        self._config = config
        self._on_event = on_event
        self._guard = None if config.scene_change_fraction is None else SceneGuard(config.scene_change_fraction)
        self._earlier = EarlierBackgrounds(config.n_remembered)
        self._shape: tuple[int, ...] | None = None
        self._use(make_background(config), since_s=None)

    @property
    def background(self) -> ImageArray | None:
        """The (h, w) uint8 background that the next frame will be compared with; None while unknown.

        The same array as long as it has not changed; arrays are never changed in place.
        """
        return self._model.background

    @property
    def n_remembered(self) -> int:
        """How many earlier backgrounds can be recalled."""
        return len(self._earlier)

    def see(self, small_luma: ImageArray, frame: Frame) -> ImageArray | None:
        """Return the background of the frames before this one, then learn from it.

        Args:
            small_luma: (h, w) uint8, the frame at working size; not kept and not changed.
            frame: whose stamps count.
        """
        if small_luma.shape != self._shape:
            self._shape = small_luma.shape
            self._earlier.forget()
            self._use(make_background(self._config), since_s=frame.time_s)
        self._reset_when_due(frame.time_s)
        is_learnt = self._follow_scene(small_luma, frame)
        background = self.background
        if is_learnt:
            self._learn(small_luma, frame.time_s)
        return background

    def _use(self, model: BackgroundModel, *, since_s: float | None, is_proven: bool = False) -> None:
        self._model = model
        self._is_proven = is_proven  # whether it is worth remembering however short it is in use
        self._in_use_since_s = since_s  # None: no frame yet
        self._known_since_s: float | None = None
        self._forget_suspicion()

    def _forget_suspicion(self) -> None:
        self._newcomer: BackgroundModel | None = None
        self._paused_since_s: float | None = None
        if self._guard is not None:
            self._guard.reset()

    def _reset_when_due(self, time_s: float) -> None:
        every_s = self._config.reset_every_s
        if every_s is not None and self._age_s(time_s) >= every_s:
            self._use(make_background(self._config), since_s=time_s)

    def _age_s(self, time_s: float) -> float:
        return 0.0 if self._in_use_since_s is None else time_s - self._in_use_since_s

    def _learn(self, luma: ImageArray, time_s: float) -> None:
        freeze_after_s, known_since_s = self._config.freeze_after_s, self._known_since_s
        if freeze_after_s is not None and known_since_s is not None and time_s - known_since_s >= freeze_after_s:
            return
        self._model.update(luma)
        if known_since_s is None and self.background is not None:
            self._known_since_s = time_s

    def _follow_scene(self, luma: ImageArray, frame: Frame) -> bool:
        """Replace the model if the scene has changed; return whether the model in use learns from the frame."""
        background = self.background
        if self._guard is None or background is None:
            return True
        seen = self._guard.look(luma, background, frame.time_s)
        if isinstance(seen, SceneChange):
            self._change_scene(seen, luma, frame)
            return True
        if seen == "usual":
            self._newcomer = self._paused_since_s = None
            return True
        if self._newcomer is None or seen == "suspicious":
            self._newcomer = make_background(self._config, quick_start=True)
        self._newcomer.update(luma)
        if self._paused_since_s is None:
            self._paused_since_s = frame.time_s
        return frame.time_s - self._paused_since_s >= _MAX_PAUSE_S

    def _change_scene(self, change: SceneChange, luma: ImageArray, frame: Frame) -> None:
        newcomer = self._newcomer or make_background(self._config, quick_start=True)
        recalled = self._earlier.take_fitting(luma if newcomer.background is None else newcomer.background)
        if self._is_proven or self._age_s(frame.time_s) >= _MIN_LIFE_S:
            self._earlier.keep(self._model)
        if recalled is None:
            self._use(newcomer, since_s=frame.time_s)
            self._tell("scene changed", f"{change}; rebuilding the background", frame)
        else:
            self._use(recalled, since_s=frame.time_s, is_proven=True)
            self._tell("background recalled", f"{change}; reusing an earlier background", frame)

    def _tell(self, kind: EventKind, detail: str, frame: Frame) -> None:
        self._on_event(CaptureEvent(kind, frame.time_s, frame.captured_at, detail))


class EarlierBackgrounds:
    """Backgrounds that a camera had before (day and night, lights on and off): a few, the last used longest.

    Args:
        n_max: how many; 0 for none.
    """

    def __init__(self, n_max: int) -> None:
        self._n_max = n_max
        self._models: list[BackgroundModel] = []  # the last used at the end

    def __len__(self) -> int:
        return len(self._models)

    def keep(self, model: BackgroundModel) -> None:
        """Remember a model that knows its background; the one that was not used for longest makes room."""
        self._models.append(model)
        del self._models[: max(0, len(self._models) - self._n_max)]

    def take_fitting(self, background: ImageArray) -> BackgroundModel | None:
        """Remove and return the model whose background is like this (h, w) one; None if there is none."""
        misfits: dict[int, float] = {}
        for number, model in enumerate(self._models):
            difference = None if model.background is None else misfit(model.background, background)
            if difference is not None:
                misfits[number] = difference
        return self._models.pop(min(misfits, key=misfits.__getitem__)) if misfits else None

    def forget(self) -> None:
        """Remove all."""
        self._models.clear()


def make_background(config: BackgroundConfig, *, quick_start: bool = False) -> BackgroundModel:
    """Return a new background model as configured.

    Args:
        config: method and its numbers.
        quick_start: know the background within five frames, less well; for a scene that has just changed.

    Raises:
        ConfigError: the method comes from a distribution that does not work.
    """
    model: BackgroundModel = BACKGROUNDS.make(config.method, config, quick_start=quick_start)
    return model
