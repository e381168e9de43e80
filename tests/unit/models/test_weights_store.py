"""Model files are found in order, downloaded whole or not at all, and never used unverified."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_autotuner.errors import ConfigError, WeightsError
from edge_autotuner.models import KnownModel, find_model, list_models, locate, pull
from edge_autotuner.models import catalogue as catalogue_module
from edge_autotuner.models.catalogue import ModelFile
from edge_autotuner.models.weights_store import cache_folder, locate_model, pull_model

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGE_AUTOTUNER_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")


class Answers(http.server.BaseHTTPRequestHandler):
    """Good, truncated, redirected and missing files."""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
        elif self.path == "/moved-to-ftp":
            self.send_response(302)
            self.send_header("Location", "ftp://127.0.0.1/good")
            self.end_headers()
        elif self.path == "/missing":
            self.send_error(404, "Not Found")
        else:
            self.send_response(200)
            if self.path != "/unannounced":
                self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:100] if self.path == "/truncated" else CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Counted:
    """Remembers what a progress bar would show."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def start(self, task: str, total: int | None) -> None:
        self.events.append((task, total))

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        self.events.append(steps)

    def finish(self) -> None:
        self.events.append("end")


def model_at(address: str | None, sha256: str | None = SHA256) -> KnownModel:
    file = ModelFile("tiny.bin", mirror="tiny/weights.bin", address=address, sha256=sha256)
    return replace(find_model("yolox-tiny"), name="tiny", files=(file,))


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def fetched(model: KnownModel, **changes: int) -> Path:
    return pull_model(model, https_only=False, **changes)


def cached_names() -> list[str]:
    return sorted(path.name for path in cache_folder().iterdir())


# The catalogue


def test_names_are_unique_and_known_to_find_model() -> None:
    names = [model.name for model in list_models()]
    assert names == [
        "street-nano", "yolox-nano", "yolox-tiny", "yolox-s", "ssdlite-mobilenet-v2",
        "deimv2-femto", "deimv2-atto", "picodet-s", "yolox-nano-onnx",
    ]  # fmt: skip
    assert [find_model(name).name for name in names] == names


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="unknown model 'yolo'; known models: street-nano, yolox-nano, yolox-tiny"):
        find_model("yolo")


def test_addresses_are_https_and_every_model_can_be_had() -> None:
    for model in list_models():
        addresses = [file.address for file in model.files if file.address]
        assert all(address.startswith("https://github.com/") for address in addresses)
        assert addresses or model.is_packaged or any(file.fetched_by for file in model.files)


def test_published_accuracy_is_a_fraction() -> None:
    assert {m.name: m.published_ap for m in list_models() if m.role == "edge"} == {
        "street-nano": None, "yolox-nano": 0.258, "yolox-tiny": 0.328, "yolox-s": 0.405,
        "ssdlite-mobilenet-v2": 0.22,
    }  # fmt: skip


def test_the_packaged_model_has_the_hash_of_its_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_module, "packaged_weights_folder", lambda: tmp_path)
    assert find_model("street-nano").files[0].sha256 is None
    put(tmp_path / "street_nano.json", json.dumps({"sha256": SHA256}).encode())
    assert find_model("street-nano").files[0].sha256 == SHA256
    put(tmp_path / "street_nano.json", b"{}")
    with pytest.raises(WeightsError, match=r"street_nano\.json is damaged"):
        find_model("street-nano")


# Finding


def test_the_folder_that_is_named_comes_before_data_and_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, named, data = model_at(None), tmp_path / "named", tmp_path / "data"
    monkeypatch.setenv("EDGE_AUTOTUNER_DATA", str(data))
    in_cache = put(cache_folder() / "tiny.bin")
    assert locate_model(model, models_dir=named) == in_cache
    in_data = put(data / "models" / "tiny" / "weights.bin")
    assert locate_model(model, models_dir=named) == in_data
    flat = put(named / "tiny.bin")
    assert locate_model(model, models_dir=named) == flat
    in_mirror = put(named / "tiny" / "weights.bin")
    assert locate_model(model, models_dir=named) == in_mirror


def test_a_damaged_file_is_never_used(tmp_path: Path) -> None:
    path = put(tmp_path / "tiny.bin", b"other")
    with pytest.raises(WeightsError) as caught:
        locate_model(model_at(None), models_dir=tmp_path)
    assert str(path) in str(caught.value)
    assert f"expected sha256 {SHA256}, got {hashlib.sha256(b'other').hexdigest()}" in str(caught.value)


def test_a_missing_file_says_what_to_put_where() -> None:
    official = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_tiny.pth"
    with pytest.raises(WeightsError) as caught:
        locate("yolox-tiny")
    assert str(caught.value) == (
        "yolox-tiny is not on this machine: run `edge-autotuner models pull yolox-tiny`, or put the file "
        f"yolox_tiny.pth from {official} into {cache_folder()}, or into a folder that `models_dir` names"
    )


def test_packaged_weights_that_are_missing_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_autotuner.models.weights_store.packaged_weights_folder", lambda: tmp_path)
    for get in (locate, pull):
        with pytest.raises(WeightsError, match="street-nano: its weights are missing from this installation"):
            get("street-nano")


def test_an_unknown_hash_is_recorded_at_the_first_use_and_binds_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = model_at(None, sha256=None)
    put(tmp_path / "tiny.bin")
    locate_model(model, models_dir=tmp_path)
    assert json.loads((cache_folder() / "pins.json").read_text()) == {"tiny.bin": SHA256}
    assert f"no known hash for tiny.bin; recorded sha256 {SHA256}" in caplog.text
    put(tmp_path / "tiny.bin", b"other")
    with pytest.raises(WeightsError, match="is damaged or the wrong file"):
        locate_model(model, models_dir=tmp_path)


def test_damaged_pins_are_named(tmp_path: Path) -> None:
    put(cache_folder() / "pins.json", b"{")
    put(tmp_path / "tiny.bin")
    with pytest.raises(WeightsError, match=r"cannot read the recorded hashes .*pins.json"):
        locate_model(model_at(None, sha256=None), models_dir=tmp_path)


def test_a_relative_cache_variable_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "edge-autotuner" / "models"


# Downloading


@pytest.mark.parametrize("page", ["good", "moved", "unannounced"])
def test_a_download_lands_in_the_cache(address: str, page: str) -> None:
    path = fetched(model_at(f"{address}/{page}"))
    assert path == cache_folder() / "tiny.bin"
    assert path.read_bytes() == CONTENT
    assert cached_names() == ["tiny.bin"]


def test_progress_counts_every_byte(address: str) -> None:
    progress = Counted()
    pull_model(model_at(f"{address}/good"), progress=progress, https_only=False)
    assert progress.events[0] == ("download", 7000)
    assert sum(step for step in progress.events if isinstance(step, int)) == 7000
    assert progress.events[-1] == "end"


def test_what_is_here_is_not_downloaded(tmp_path: Path) -> None:
    model = model_at("http://127.0.0.1:9/never-asked")
    in_mirror = put(tmp_path / "tiny.bin")
    assert pull_model(model, models_dir=tmp_path) == in_mirror
    in_cache = put(cache_folder() / "tiny.bin")
    assert pull_model(model) == in_cache


def test_a_damaged_file_in_the_cache_is_downloaded_again(address: str) -> None:
    put(cache_folder() / "tiny.bin", b"damaged")
    assert fetched(model_at(f"{address}/good")).read_bytes() == CONTENT


def test_an_unknown_hash_is_pinned_at_the_first_pull(address: str, caplog: pytest.LogCaptureFixture) -> None:
    fetched(model_at(f"{address}/good", sha256=None))
    assert json.loads((cache_folder() / "pins.json").read_text()) == {"tiny.bin": SHA256}
    assert "later downloads must match" in caplog.text


def test_a_pinned_hash_binds_the_next_pull(address: str) -> None:
    put(cache_folder() / "pins.json", json.dumps({"tiny.bin": "0" * 64}).encode())
    with pytest.raises(WeightsError, match=f"sha256 {SHA256} instead of {'0' * 64}"):
        fetched(model_at(f"{address}/good", sha256=None))
    assert cached_names() == ["pins.json"]


@pytest.mark.parametrize(
    ("page", "changes", "message"),
    [
        pytest.param("truncated", {}, "was cut off after 100 of 7000 bytes; try again", id="truncated"),
        pytest.param("missing", {}, "answered 404 Not Found", id="missing"),
        pytest.param("good", {"max_bytes": 6999}, "has 7000 bytes, more than the allowed 6999", id="large"),
        pytest.param(
            "unannounced", {"max_bytes": 6999}, "has more than the allowed 6999 bytes", id="large-unannounced"
        ),
        pytest.param("moved-to-ftp", {}, "ftp://127.0.0.1/good is not an https address", id="redirected-to-ftp"),
    ],
)
def test_a_bad_answer_leaves_nothing_behind(address: str, page: str, changes: dict[str, int], message: str) -> None:
    with pytest.raises(WeightsError) as caught:
        fetched(model_at(f"{address}/{page}"), **changes)
    assert message in str(caught.value)
    assert f"into {cache_folder()}" in str(caught.value)
    assert cached_names() == []


def test_another_content_is_refused(address: str) -> None:
    with pytest.raises(WeightsError, match=f"is not the expected file: sha256 {SHA256} instead of {'1' * 64}"):
        fetched(model_at(f"{address}/good", sha256="1" * 64))
    assert cached_names() == []


def test_offline_says_exactly_what_to_put_where() -> None:
    model = model_at("http://127.0.0.1:9/tiny.bin")  # port 9 of the loopback interface: nobody listens
    with pytest.raises(WeightsError) as caught:
        fetched(model)
    assert str(caught.value) == (
        "cannot download tiny: http://127.0.0.1:9/tiny.bin is unreachable (connection refused: the program is not "
        "running, or the port is wrong). "
        f"Put the file tiny.bin from http://127.0.0.1:9/tiny.bin (sha256 {SHA256}) into {cache_folder()}, "
        "or into a folder that `models_dir` names"
    )


def test_a_model_without_an_address_says_how_to_fetch_it() -> None:
    hand_made = ModelFile("tiny.tgz", sha256=SHA256, fetched_by="npm pack tiny@1")
    model = replace(model_at(None), files=(ModelFile("mine.bin", mirror="tiny/mine.bin"), hand_made))
    for attempt in (locate_model, fetched):
        with pytest.raises(WeightsError) as caught:
            attempt(model)
        assert str(caught.value) == (
            f"tiny is not on this machine: put the file tiny.tgz of `npm pack tiny@1` (sha256 {SHA256}) into "
            f"{cache_folder()}, or into a folder that `models_dir` names"
        )
    put(cache_folder() / "tiny.tgz")
    assert locate_model(model) == fetched(model) == cache_folder() / "tiny.tgz"


@pytest.mark.parametrize("scheme", ["http", "ftp", "file"])
def test_only_https_by_default(scheme: str) -> None:
    with pytest.raises(WeightsError, match="is not an https address"):
        pull_model(model_at(f"{scheme}://127.0.0.1/tiny.bin"))
