"""A bundle is whole, unchanged and inside its folder, or it is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.config import FeedingConfig
from edge_autotuner.core import ClassPoint, FakeClock, LabelMap, OperatingPoint
from edge_autotuner.deployment import ModelBundle, read_bundle, write_bundle
from edge_autotuner.deployment import bundle as bundle_module
from edge_autotuner.errors import ModelBundleError, StorageError
from unit.models.tiny_onnx import SPEC, constant_model

WEIGHTS = b"weights"


def made(folder: Path, **changes: Any) -> ModelBundle:
    values: dict[str, Any] = {
        "name": "street",
        "architecture": "yolox-nano",
        "detector": SPEC,
        "model": constant_model(),
        "weights": WEIGHTS,
        "metrics": {"ap": 0.5},
        "promotion": {"is_promoted": True},
        "lineage": {"parent": "street-nano"},
        "clock": FakeClock(),
    }
    return write_bundle(folder, **{**values, **changes})


def everything_shown(min_score: float = 0.01) -> OperatingPoint:
    per_class = {name: ClassPoint(min_score, 0.5, 0.9, 0.8, 40) for name in SPEC.labels}
    return OperatingPoint(per_class, 3.5, 20, 18.0)


def edited(folder: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """Write a bundle and change its description."""
    made(folder)
    path = folder / "bundle.json"
    description = json.loads(path.read_text())
    edit(description)
    path.write_text(json.dumps(description))
    return folder


def test_what_is_written_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "street"
    written = made(folder)
    assert read_bundle(folder) == written
    assert written.detector == SPEC
    assert written.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert (written.metrics, written.promotion) == ({"ap": 0.5}, {"is_promoted": True})
    assert written.read_model() == constant_model()
    assert written.weights_path.read_bytes() == WEIGHTS
    assert sorted(path.name for path in folder.iterdir()) == ["bundle.json", "model.onnx", "weights.safetensors"]
    assert [path.name for path in folder.parent.iterdir()] == ["street"]


def test_the_description_names_its_format(tmp_path: Path) -> None:
    made(tmp_path / "b")
    description = json.loads((tmp_path / "b" / "bundle.json").read_text())
    assert (description["format"], description["version"]) == ("edge-autotuner-bundle", 1)
    assert description["files"]["model"]["name"] == "model.onnx"
    assert description["created_at"] == "2026-01-01T00:00:00+00:00"


def test_a_bundle_is_never_overwritten(tmp_path: Path) -> None:
    made(tmp_path / "b")
    with pytest.raises(ModelBundleError, match="already exists, and bundles are never overwritten"):
        made(tmp_path / "b", weights=b"other")
    assert read_bundle(tmp_path / "b").weights_path.read_bytes() == WEIGHTS


def test_values_that_json_does_not_know_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        made(tmp_path / "b", metrics={"ap": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_kill_while_writing_leaves_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, n_written = bundle_module.atomic_write_bytes, []

    def killed_at_the_second(path: Path, data: bytes) -> None:
        if n_written:
            raise KeyboardInterrupt
        n_written.append(path)
        write(path, data)

    monkeypatch.setattr(bundle_module, "atomic_write_bytes", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_the_rest_of_a_killed_writer_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".b.12345.tmp").mkdir()
    (tmp_path / ".b.12345.tmp" / "model.onnx").write_bytes(b"half")
    made(tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_disk_that_refuses_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot write"):
        made(tmp_path / "file" / "b")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        pytest.param(
            lambda d: d.update(version=2), "has format version 2, but this installation reads version 1", id="new"
        ),
        pytest.param(lambda d: d.pop("version"), "has format version None", id="no-version"),
        pytest.param(lambda d: d.update(format="zip"), "is not a model bundle's description", id="format"),
        pytest.param(lambda d: d.update(name=7), "'name' must be text, got 7", id="name"),
        pytest.param(lambda d: d.pop("metrics"), "'metrics' must be an object with keys, got nothing", id="no-metrics"),
        pytest.param(lambda d: d.update(created_at="yesterday"), "created_at: Invalid isoformat", id="time"),
        pytest.param(lambda d: d.update(created_at="2026-01-01"), "must be a time with its zone", id="no-zone"),
        pytest.param(lambda d: d["detector"].update(decode="ssd"), "detector: decode must be one of", id="detector"),
        pytest.param(lambda d: d["files"].pop("model"), "'model' must be an object", id="no-file"),
        pytest.param(lambda d: d["files"]["model"].update(name="../model.onnx"), "a plain file name", id="parent"),
        pytest.param(lambda d: d["files"]["model"].update(name="/etc/passwd"), "a plain file name", id="absolute"),
        pytest.param(lambda d: d["files"]["model"].update(name=".."), "a plain file name", id="dots"),
        pytest.param(lambda d: d["files"]["model"].update(name="a\\b"), "a plain file name", id="backslash"),
        pytest.param(lambda d: d["files"]["model"].update(name="a\n"), "expected printable text", id="newline"),
        pytest.param(lambda d: d["files"]["model"].update(name=""), "a plain file name", id="no-name"),
        pytest.param(
            lambda d: d["files"]["model"].update(n_bytes=2**40),
            "a whole number of 1 to",
            id="too-large",
        ),
        pytest.param(lambda d: d["files"]["model"].update(n_bytes=True), "a whole number", id="size-bool"),
        pytest.param(lambda d: d["files"]["model"].update(n_bytes=5), "bytes instead of 5", id="size"),
        pytest.param(lambda d: d["files"]["weights"].update(sha256="0" * 64), "safetensors was modified", id="hash"),
        pytest.param(lambda d: d["files"]["weights"].update(sha256="0"), "64 hexadecimal digits", id="short-hash"),
        pytest.param(lambda d: d["files"]["weights"].update(name="gone.bin"), "gone.bin is missing", id="missing"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, edit: Callable[[dict[str, Any]], object], message: str) -> None:
    with pytest.raises(ModelBundleError) as caught:
        read_bundle(edited(tmp_path / "b", edit))
    assert message in str(caught.value)
    assert str(tmp_path / "b") in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "is not valid JSON", id="empty"),
        pytest.param(b"\xff\xfe\x00", "is not valid JSON", id="binary"),
        pytest.param(b"[]", "is not a model bundle's description", id="list"),
        pytest.param(b"[" * 200_000, "cannot be used: more than 20000 arrays", id="deep"),
        pytest.param(b'{"format": NaN}', "NaN is not a JSON number", id="nan"),
        pytest.param(b" " * (4 << 20) + b"{}", "is larger than 4 MB", id="huge"),
    ],
)
def test_a_damaged_description_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    made(tmp_path / "b")
    (tmp_path / "b" / "bundle.json").write_bytes(content)
    with pytest.raises(ModelBundleError, match=message):
        read_bundle(tmp_path / "b")


def test_no_bundle_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelBundleError, match=r"is not a model bundle: cannot read bundle.json: No such file"):
        read_bundle(tmp_path)


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    bundle = made(tmp_path / "b")
    content = bytearray(bundle.model_path.read_bytes())
    content[-1] ^= 1
    bundle.model_path.write_bytes(content)
    with pytest.raises(ModelBundleError, match=r"model.onnx was modified: sha256"):
        read_bundle(bundle.folder)
    with pytest.raises(ModelBundleError, match=r"model.onnx was modified: sha256"):
        bundle.read_model()


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    bundle = made(tmp_path / "b")
    elsewhere = tmp_path / "elsewhere"
    os.rename(bundle.model_path, elsewhere)
    bundle.model_path.symlink_to(elsewhere)
    with pytest.raises(ModelBundleError, match=r"model.onnx is a link that points outside"):
        read_bundle(bundle.folder)


def test_an_operating_point_is_kept_and_may_be_absent(tmp_path: Path) -> None:
    point = everything_shown()
    assert made(tmp_path / "a", operating_point=point).operating_point == point
    assert made(tmp_path / "b").operating_point is None
    assert "operating_point" not in json.loads((tmp_path / "b" / "bundle.json").read_text())


def test_a_model_with_thousands_of_classes_has_an_operating_point_too(tmp_path: Path) -> None:
    labels = LabelMap(tuple(f"class {number}" for number in range(4000)))
    point = OperatingPoint({name: ClassPoint(0.4, 0.5, 0.9, 0.8, 40) for name in labels}, 3.5, 20, 18.0)
    bundle = made(tmp_path / "a", detector=replace(SPEC, labels=labels), operating_point=point)
    assert bundle.operating_point == point


@pytest.mark.parametrize(
    "change",
    [
        {"per_class": {"dog": {}}},
        {"per_class": []},
        {"rule": "any"},
        {"twin_iou": 2},
        {"judged_s": "long"},
    ],
)
def test_a_wrong_operating_point_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    point = everything_shown().to_json() | change
    folder = edited(tmp_path / "a", lambda description: description.update(operating_point=point))
    with pytest.raises(ModelBundleError, match=f"operating_point.*{next(iter(change))}"):
        read_bundle(folder)


def test_how_a_model_is_fed_is_kept_and_may_be_absent(tmp_path: Path) -> None:
    feeding = FeedingConfig(mode="regions", object_px=40, remember_s=None)
    assert made(tmp_path / "a", feeding=feeding).feeding == feeding
    assert made(tmp_path / "b").feeding is None
    assert "feeding" not in json.loads((tmp_path / "b" / "bundle.json").read_text())


@pytest.mark.parametrize(
    "change", [{"mode": "tiles"}, {"margin": -1}, {"object_px": 1e9}, {"full_frame_every_s": 0}, {"extra": 1}]
)
def test_a_wrong_way_to_feed_a_model_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    feeding = {**FeedingConfig().model_dump(mode="json"), **change}
    folder = edited(tmp_path / "a", lambda description: description.update(feeding=feeding))
    with pytest.raises(ModelBundleError, match=f"feeding.{next(iter(change))}"):
        read_bundle(folder)
