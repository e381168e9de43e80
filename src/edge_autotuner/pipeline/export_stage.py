"""Stage 5: both models become bundles, and the link `bundle` points at the one that the decision names."""

from __future__ import annotations

from pathlib import Path

from edge_autotuner.deployment import ModelBundle, deploy, new_bundle_folder, read_bundle, write_bundle
from edge_autotuner.models.torch_detector import yolox_spec
from edge_autotuner.models.yolox import Yolox
from edge_autotuner.models.yolox_weights import load_yolox, yolox_bytes
from edge_autotuner.pipeline.edge_model import EdgeModel, export_network, open_edge_model
from edge_autotuner.pipeline.evaluation_stage import Evaluation, read_evaluation
from edge_autotuner.pipeline.run_folder import fingerprint_of
from edge_autotuner.pipeline.session import Session
from edge_autotuner.pipeline.training_stage import candidate_weights


def export(session: Session) -> None:
    """Write the bundles and deploy the winner.

    Raises:
        ModelBundleError: a bundle cannot be written or deployed; the deployed one stays.
    """
    evaluated = session.folder.require("evaluation", before="export")
    fingerprint = fingerprint_of("export", evaluated.fingerprint)
    if session.is_done("export", fingerprint):
        return
    result = read_evaluation(session.folder.evaluation)
    edge = open_edge_model(session.config)
    candidate, labels = load_yolox(candidate_weights(session))
    with session.stage("export", fingerprint) as summary:
        old = _write(session, edge, edge.network, "start", result)
        new = _write(session, EdgeModel(edge.name, candidate, labels, edge.sha256), candidate, "candidate", result)
        winner = new if result.promotion.promoted else old
        deploy(session.folder.path, winner.folder.name)
        summary.update(deployed=winner.folder.name, candidate=new.folder.name, previous=old.folder.name)


def _write(session: Session, edge: EdgeModel, network: Yolox, kind: str, result: Evaluation) -> ModelBundle:
    """Write one bundle; an equal one that an interrupted export left is used again."""
    trained = session.folder.require("training", before="export")
    is_candidate = kind == "candidate"
    name = f"{'specialized' if is_candidate else 'start'}-{trained.fingerprint[:8]}"
    size = session.config.input_size
    model = export_network(network, size, candidate_weights(session).parent / f"{kind}.onnx").read_bytes()
    folder = _free_or_same(session.folder.path, name, model)
    if folder.is_dir():
        return read_bundle(folder)
    return write_bundle(
        folder,
        name=name,
        architecture=network.architecture,
        detector=yolox_spec(name, edge.labels, size),
        model=model,
        weights=yolox_bytes(network, edge.labels),
        metrics=_metrics(result, is_candidate=is_candidate),
        promotion=result.promotion.to_json() if is_candidate else {"replaced_by_candidate": result.promotion.promoted},
        lineage={
            "edge_model": edge.name,
            "edge_model_sha256": edge.sha256,
            "training": trained.fingerprint,
            "trained_layers": trained.summary["layers"] if is_candidate else None,
        },
        clock=session.clock,
    )


def _free_or_same(output: Path, name: str, model: bytes) -> Path:
    folder = output / "bundles" / name
    if folder.is_dir() and read_bundle(folder).read_model() == model:
        return folder
    return new_bundle_folder(output, name)


def _metrics(result: Evaluation, *, is_candidate: bool) -> dict[str, object]:
    detector = "specialized edge" if is_candidate else "off-the-shelf edge"
    scores = {truth: result.comparison.get(truth, detector) for truth in result.comparison.scores}
    return {
        "against": {truth: found.to_json() for truth, found in scores.items() if found is not None},
        "ms_per_frame": result.ms_after if is_candidate else result.ms_before,
        "n_test_frames": result.n_frames,
    }
