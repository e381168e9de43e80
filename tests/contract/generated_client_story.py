"""`python generated_client_story.py PACKAGE_FOLDER FACTS`: calls every function of a generated client, prints statuses.

Runs in the generator's own environment, with nothing of this project: FACTS is a JSON file that says what to send.
"""

from __future__ import annotations

import importlib
import io
import json
import pkgutil
import sys
from typing import Any

PACKAGE = "edge_auto_tuner_client"


def main(folder: str, facts_file: str) -> None:
    """Tell one story in which each operation has its place."""
    sys.path.insert(0, folder)
    package = importlib.import_module(PACKAGE)
    models = importlib.import_module(f"{PACKAGE}.models")
    file = importlib.import_module(f"{PACKAGE}.types").File
    with open(facts_file, encoding="utf-8") as stream:
        facts = json.load(stream)
    client = package.AuthenticatedClient(base_url=facts["url"], token=facts["token"])
    functions = operations()
    statuses: dict[str, list[int]] = {name: [] for name in functions}

    def call(name: str, **arguments: Any) -> Any:
        reply = functions[name].sync_detailed(client=client, **arguments)
        statuses[name].append(int(reply.status_code))
        return reply.parsed

    def content_of(data: bytes) -> Any:
        return file(payload=io.BytesIO(data), file_name="1.png", mime_type="application/octet-stream")

    picture = bytes.fromhex(facts["picture"])
    assert call("health").status == "ok"
    assert call("ready").status == "ok"
    call("metrics")
    (model,) = call("list_models").models
    one = call("annotate_picture", model=model.name, body=content_of(picture), min_score=0.1)
    assert len(one.boxes_xyxy) == len(one.scores) == 1
    asked = models.BatchRequest(placements=[models.Placement(offset_x=10)] * 2)
    form = models.AnnotateBatchBody(pictures=[content_of(picture)] * 2, request=asked)
    batch = call("annotate_batch", model=model.name, body=form)
    assert [len(result.boxes_xyxy) for result in batch.results] == [1, 1]

    hashes = sorted(facts["contents"])
    assert sorted(call("find_missing", body=models.BlobQuestion(sha256=hashes)).missing) == hashes
    for sha256 in hashes:
        stored = call("put_blob", sha256=sha256, body=content_of(bytes.fromhex(facts["contents"][sha256])))
        assert stored.sha256 == sha256
        call("get_blob", sha256=sha256)
    assert call("find_missing", body=models.BlobQuestion(sha256=hashes)).missing == []

    assert call("put_camera", camera="gate", body=models.CameraRequest(place="north")).place == "north"
    assert [camera.camera for camera in call("list_cameras").cameras] == ["gate"]
    added = [
        call("add_bundle", camera="gate", body=models.BundleRequest(description=text)).id
        for text in facts["descriptions"]
    ]
    assert len(call("list_bundles", camera="gate").bundles) == len(added) == 2
    for bundle_id in added:
        call("promote_bundle", camera="gate", bundle_id=bundle_id)
    assert call("wait_for_deployed", camera="gate", wait_s=0.0).id == added[1]
    assert call("roll_back", camera="gate").id == added[0]
    call("archive_bundle", camera="gate", bundle_id=added[1])
    call("collect_garbage")

    tune = models.TuneRequest.from_dict(facts["tune"])
    assert "upload these" in call("create_tuning_job", body=tune).detail
    assert call("list_jobs", limit=10).jobs == []
    for name in ("get_job", "list_events", "cancel_job"):
        assert call(name, job_id="j1").type_ == "unknown-job"
    print(json.dumps(statuses))


def operations() -> dict[str, Any]:
    """Return the modules of all generated functions by the name of their operation."""
    api = importlib.import_module(f"{PACKAGE}.api")
    found = {}
    for tag in pkgutil.iter_modules(api.__path__):
        folder = importlib.import_module(f"{PACKAGE}.api.{tag.name}")
        for module in pkgutil.iter_modules(folder.__path__):
            found[module.name] = importlib.import_module(f"{PACKAGE}.api.{tag.name}.{module.name}")
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
