"""Durations, frame ranges and sizes as people write them, and settings that must agree."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edge_autotuner.config import CaptureConfig, RunConfig, resolve_config
from edge_autotuner.config.base import FrozenConfig, parse_size
from edge_autotuner.errors import ConfigError


@pytest.mark.parametrize(("value", "seconds"), [("90s", 90), ("1h30m", 5400), (12, 12), (0.5, 0.5), (None, None)])
def test_durations(value: object, seconds: float | None) -> None:
    assert RunConfig(deadline_s=value).deadline_s == seconds  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["soon", 0, -3, "0s", float("inf"), float("nan"), True, [1]])
def test_wrong_durations(value: object) -> None:
    with pytest.raises(ValidationError):
        RunConfig(deadline_s=value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0:500", (0, 500)), ("100:", (100, None)), (":50", (0, 50)), (":", (0, None)), ([3, 4], (3, 4))],
)
def test_frame_ranges(value: object, expected: tuple[int, int | None]) -> None:
    assert CaptureConfig(train_frames=value).train_frames == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["5", "a:b", "-3:5", "5:5", "9:5", [-1, 5], [5, 5], [1], 650])
def test_wrong_frame_ranges(value: object) -> None:
    with pytest.raises(ValidationError):
        CaptureConfig(train_frames=value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("train", "test", "overlaps"),
    [
        pytest.param("0:10", "10:20", False, id="touching"),
        pytest.param("10:20", "0:10", False, id="test first"),
        pytest.param("0:11", "10:20", True, id="one frame shared"),
        pytest.param("0:", "10:20", True, id="train is open"),
        pytest.param("0:10", "9:", True, id="test is open"),
        pytest.param("10:", "5:10", False, id="open after test"),
        pytest.param("0:", "0:", True, id="both open"),
        pytest.param("5:6", "0:100", True, id="inside"),
    ],
)
def test_a_test_frame_is_never_trained_on(train: str, test: str, overlaps: bool) -> None:
    values: dict[str, Any] = {"train_frames": train, "test_frames": test}
    if not overlaps:
        CaptureConfig(**values)
        return
    with pytest.raises(ValidationError, match="a test frame must never be trained on"):
        CaptureConfig(**values)


@pytest.mark.parametrize(
    ("value", "size_wh"), [("416", (416, 416)), ("640x384", (640, 384)), ("640X384", (640, 384)), (300, (300, 300))]
)
def test_input_sizes(value: object, size_wh: tuple[int, int]) -> None:
    assert RunConfig(input_size=value).input_size == size_wh  # type: ignore[arg-type]
    assert RunConfig(annotation={"zoom_input": value}).annotation.zoom_input == size_wh  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["", "big", "416x", "x416", "416x-32", 0, -32, 31, "416x31", [416], True])
def test_wrong_input_sizes(value: object) -> None:
    with pytest.raises(ValidationError):
        RunConfig(input_size=value)  # type: ignore[arg-type]


def test_a_size_of_anything_may_be_odd() -> None:
    assert parse_size("480x271") == (480, 271)
    with pytest.raises(ConfigError, match="'big' is not a size; use"):
        parse_size("big")


def test_settings_cannot_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RunConfig().training.n_epochs = 3


ANOTHER_VALUE: dict[str, object] = {
    "edge_model": "yolox-nano",
    "architecture": "yolox-s",
    "input_size": "416x256",
    "models_dir": "mirror",
    "deadline_s": 60,
    "privacy.send": "crops",
    "privacy.outside": "blur",
    "privacy.hide_classes": ["person"],
    "privacy.hide_with": "bundle",
    "privacy.hide_min_score": 0.2,
    "privacy.hide_margin": 0.3,
    "privacy.apply": "at_rest",
    "capture.stream.duration_s": 60,
    "capture.stream.realtime": True,
    "capture.stream.transport": "udp",
    "capture.stream.open_timeout_s": 5,
    "capture.stream.read_timeout_s": 5,
    "capture.stream.first_retry_s": 2,
    "capture.stream.longest_retry_s": 50,
    "capture.stream.give_up_after_s": 60,
    "capture.stream.frozen_after_s": 50,
    "capture.stream.undecodable_after_s": 20,
    "capture.stream.webcam_size": "640x480",
    "capture.stream.webcam_rate_hz": 30,
    "capture.background.method": "mog2",
    "capture.background.n_frames": 16,
    "capture.background.every_k_frames": 6,
    "capture.background.n_backgrounds": 4,
    "capture.background.percentile": 30,
    "capture.background.reset_every_s": 60,
    "capture.background.freeze_after_s": 60,
    "capture.background.scene_change_fraction": 0.8,
    "capture.background.n_remembered": 1,
    "capture.motion.sensitivity": "low",
    "capture.motion.working_width_px": 481,
    "capture.motion.blur_px": 7,
    "capture.motion.threshold": 20,
    "capture.motion.dilate_px": 9,
    "capture.motion.min_area_px": 50,
    "capture.motion.min_region_px": 65,
    "capture.motion.padding_fraction": 0.2,
    "capture.motion.merge": "all",
    "capture.motion.shake_px": 3,
    "capture.motion.noise_factor": 3,
    "capture.motion.persistence_frames": 3,
    "capture.motion.ignore": [[[0, 0], [1, 0], [1, 1]]],
    "capture.motion.watch": [[[0, 0], [1, 0], [1, 1]]],
    "capture.selection.score": "random",
    "capture.selection.score_threshold": 0.4,
    "capture.selection.min_gap_s": 1,
    "capture.selection.max_per_hour": 10,
    "capture.selection.max_per_day": 100,
    "capture.selection.min_change_fraction": 0.3,
    "capture.selection.regions": "all",
    "capture.selection.diversity": "hash",
    "capture.selection.min_distance": 0.2,
    "capture.selection.empty_fraction": 0.1,
    "capture.max_images": 1001,
    "capture.deadline_s": 60,
    "capture.test_fraction": 0.3,
    "capture.max_test_images": 201,
    "capture.train_frames": "0:10",
    "capture.test_frames": "0:10",
    "capture.test_every": 2,
    "capture.picture_format": "png",
    "annotation.teacher": "picodet-s",
    "annotation.teacher_weights": [2],
    "annotation.fusion_iou": 0.6,
    "annotation.adapter": "deim",
    "annotation.zoom_input": 640,
    "annotation.look": "crops",
    "annotation.tile_grid": 3,
    "annotation.max_views": 10,
    "annotation.tile_overlap": 0.3,
    "annotation.crop_margin": 0.3,
    "annotation.min_crop_px": 193,
    "annotation.cut_border_px": 4,
    "annotation.merge_iou": 0.6,
    "annotation.same_object_iou": 0.8,
    "annotation.min_score": 0.4,
    "annotation.uncertain_score": 0.2,
    "annotation.classes": ["car"],
    "annotation.max_detections": 301,
    "annotation.refine.static_objects": "background",
    "annotation.refine.static_presence": 0.7,
    "annotation.refine.static_max_score": 0.5,
    "annotation.refine.static_min_s": 40,
    "annotation.refine.smooth_boxes_s": 0.5,
    "annotation.refine.smooth_scores_s": 0.5,
    "annotation.refine.one_class_per_object": False,
    "annotation.refine.fill_gaps": "label",
    "annotation.refine.flicker_max_score": 0.5,
    "annotation.refine.spurious_classes": "keep",
    "annotation.check_teacher_frames": 3,
    "annotation.test_labels.teachers": "yolox-nano",
    "annotation.test_labels.mirrored": True,
    "annotation.test_labels.finer_tiles": True,
    "annotation.service.url": "https://teacher.example",
    "annotation.service.token_file": "token",
    "annotation.service.token_env": "TOKEN",
    "annotation.service.ca_file": "ca.pem",
    "annotation.service.client_cert": "client.pem",
    "annotation.service.client_key": "client.key",
    "annotation.service.allow_http": True,
    "annotation.service.connect_timeout_s": 5,
    "annotation.service.read_timeout_s": 30,
    "annotation.service.request_timeout_s": 100,
    "annotation.service.max_attempts": 7,
    "annotation.service.first_retry_s": 1,
    "annotation.service.longest_retry_s": 50,
    "annotation.service.max_upload_kbps": 500,
    "annotation.service.picture_format": "jpg",
    "annotation.service.jpeg_quality": 80,
    "annotation.service.send": "input size",
    "annotation.service.max_batch": 4,
    "training.layers": "all",
    "training.auto_all_from_boxes": 501,
    "training.n_epochs": 13,
    "training.max_steps_per_epoch": 76,
    "training.min_steps_per_epoch": 26,
    "training.batch_size": 9,
    "training.max_lr": 2e-3,
    "training.weight_decay": 6e-4,
    "training.ema_decay": 0.98,
    "training.val_fraction": 0.2,
    "training.max_val_images": 61,
    "training.patience_epochs": 6,
    "training.distill_weight": 0.5,
    "training.keep_start": 0.3,
    "training.augmentation.flip": 0.4,
    "training.augmentation.scale": 0.4,
    "training.augmentation.translate": 0.2,
    "training.augmentation.brightness": 0.3,
    "training.augmentation.contrast": 0.3,
    "training.augmentation.saturation": 0.3,
    "training.augmentation.noise": 1,
    "training.augmentation.paste": 3,
    "training.augmentation.mosaic": 0.5,
    "training.augmentation.mosaic_until": 0.6,
    "training.second_look.enabled": False,
    "training.second_look.after": 0.5,
    "training.features.enabled": False,
    "training.features.n_views": 5,
    "training.features.max_gb": 3,
    "training.features.min_free_gb": 2,
    "training.replay.folder": "memory",
    "training.replay.share": 0.3,
    "training.replay.generic_share": 0.5,
    "training.replay.max_pictures": 501,
    "training.replay.max_mb": 201,
    "training.fewer_epochs_above": 0.6,
    "training.repeat_rare": 0.3,
    "training.score_weight": 0.5,
    "training.device": "cpu",
    "training.precision": "float32",
    "training.deadline_s": 60,
    "training.n_threads": 1,
    "training.seed": 1,
    "evaluation.ground_truth": "gt.json",
    "evaluation.test_source": "b.mp4",
    "evaluation.map_classes": {"bus": "car"},
    "evaluation.max_detections": 301,
    "evaluation.min_score": 0.06,
    "evaluation.max_false_alarms_per_hour": 12.0,
    "evaluation.promotion_max_iou": 0.5,
    "evaluation.n_bootstrap": 1001,
    "evaluation.confidence": 0.9,
    "evaluation.seed": 1,
}


@pytest.mark.parametrize("key", ANOTHER_VALUE)
def test_the_fingerprint_changes_with_each_setting(key: str) -> None:
    needed = {"annotation.classes": ["car"]} if key == "privacy.hide_classes" else {}
    changed = resolve_config(None, {**needed, key: ANOTHER_VALUE[key]})
    assert changed.fingerprint() != resolve_config(None, needed).fingerprint()


def test_no_setting_was_forgotten_above() -> None:
    assert set(_keys_of(RunConfig())) == set(ANOTHER_VALUE)


AT_SERVICE = {"teacher": "remote:big", "service": {"url": "http://127.0.0.1:1"}}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param(
            {"privacy": {"send": "crops"}, "annotation": AT_SERVICE}, "set annotation.look to crops", id="tiles"
        ),
        pytest.param(
            {"privacy": {"hide_classes": ["person"]}}, "needs annotation.classes", id="learned classes unknown"
        ),
        pytest.param(
            {"privacy": {"hide_classes": ["car"]}, "annotation": {"classes": ["bus", "car"]}},
            "car cannot be both learned and hidden",
            id="both",
        ),
    ],
)
def test_privacy_that_cannot_be_kept_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RunConfig.model_validate(values)


def test_privacy_that_can_be_kept() -> None:
    crops = RunConfig.model_validate({"privacy": {"send": "crops"}, "annotation": AT_SERVICE | {"look": "crops"}})
    assert (crops.privacy.shows_regions_only, crops.privacy.changes_pictures) == (True, False)
    stored = RunConfig.model_validate({"privacy": {"outside": "blur", "apply": "at_rest"}})
    assert stored.privacy.treats_stored_pictures
    assert not RunConfig().privacy.is_on


def test_the_fingerprint_is_that_of_the_values() -> None:
    by_text = resolve_config(None, {"deadline_s": "1min", "input_size": "416"})
    assert by_text.fingerprint() == resolve_config(None, {"deadline_s": 60, "input_size": [416, 416]}).fingerprint()
    assert len(by_text.fingerprint()) == 16


def _keys_of(config: FrozenConfig, prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name in type(config).model_fields:
        value = getattr(config, name)
        keys += _keys_of(value, f"{prefix}{name}.") if isinstance(value, FrozenConfig) else [f"{prefix}{name}"]
    return keys
