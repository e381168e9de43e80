"""The pieces of the specialization benchmark: which there are, what is run, stored and skipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scenes import NGSIM, PETS
from benchmarks.specialization.ablations import ABLATIONS, Other, default_of, resolved
from benchmarks.specialization.accuracy import specialized
from benchmarks.specialization.catalogue import all_pieces, chosen, parse_seeds
from benchmarks.specialization.forgetting import GUARDS, guarded
from benchmarks.specialization.piece import GROUPS, Piece
from benchmarks.specialization.results import read_results, run_pieces, standing
from benchmarks.specialization.trial import Trial, labels_key, settings_key
from benchmarks.specialization.workplace import Workplace, copy_labelled
from edge_autotuner.errors import ConfigError


def test_every_setting_that_is_tried_exists() -> None:
    for piece in all_pieces():
        piece.check()


def test_every_ablation_differs_from_the_default() -> None:
    for one in ABLATIONS:
        for key, value in one.settings.items():
            if isinstance(value, Other):
                assert resolved(key, value) != default_of(key)
    layers = {one.settings["training.layers"] for one in ABLATIONS if "training.layers" in one.settings}
    assert layers == {"box", "top"}, "with so many labels the default is all"


def test_pieces_have_different_keys_and_groups_that_exist() -> None:
    pieces = all_pieces()
    assert len({piece.key for piece in pieces}) == len(pieces)
    assert {piece.group for piece in pieces} == set(GROUPS)


def test_trials_of_one_name_are_one_trial() -> None:
    trials: dict[str, Trial] = {}
    for trial in (trial for piece in all_pieces() for trial in piece.trials):
        assert trials.setdefault(trial.name, trial) == trial


@pytest.mark.parametrize(
    ("names", "groups", "seeds", "expected"),
    [
        (["speed/epochs"], None, None, ["speed/epochs"]),
        (["accuracy/ngsim-nano-416-femto"], None, [1], ["accuracy/ngsim-nano-416-femto/seed-1"]),
        (["accuracy/ngsim-nano-416-femto/", "bound/start"], ["bound"], None, ["bound/start"]),
    ],
    ids=["key", "case and seed", "group"],
)
def test_pieces_are_chosen(names: Any, groups: Any, seeds: Any, expected: list[str]) -> None:
    assert [piece.key for piece in chosen(names, groups=groups, seeds=seeds)] == expected


def test_the_beginning_of_a_word_is_no_name() -> None:
    with pytest.raises(ConfigError, match="no piece accuracy/ngsim"):
        chosen(["accuracy/ngsim"])


def test_what_does_not_exist_is_said() -> None:
    with pytest.raises(ConfigError, match="no group colour; groups: accuracy"):
        chosen(None, groups=["colour"])
    with pytest.raises(ConfigError, match="no piece is of all these"):
        chosen(["speed/epochs"], groups=["bound"])
    with pytest.raises(ConfigError, match="are no seeds"):
        parse_seeds("0;1")
    assert parse_seeds("0, 2") == [0, 2]


def _place(folder: Path) -> Workplace:
    return Workplace(folder / "data", folder / "work")


def _piece(key: str, calls: list[str], trial: Trial | None = None) -> Piece:
    def measure(place: Workplace) -> dict[str, Any]:
        calls.append(key)
        return {"n": len(calls)}

    return Piece(key, measure, (trial,) if trial else ())


def test_a_stored_piece_is_skipped_and_measured_again_on_request(tmp_path: Path) -> None:
    calls: list[str] = []
    path, pieces = tmp_path / "results.json", [_piece("speed/a", calls), _piece("speed/b", calls)]
    said: list[str] = []
    run_pieces(pieces[:1], _place(tmp_path), path, again=False, say=said.append)
    run_pieces(pieces, _place(tmp_path), path, again=False, say=said.append)
    assert calls == ["speed/a", "speed/b"]
    assert "[1/2] speed/a: is there" in said
    run_pieces(pieces[:1], _place(tmp_path), path, again=True, say=said.append)
    assert [read_results(path)[key]["result"]["n"] for key in ("speed/a", "speed/b")] == [3, 2]


def test_what_is_done_stays_when_a_later_piece_fails(tmp_path: Path) -> None:
    def fail(place: Workplace) -> dict[str, Any]:
        raise RuntimeError("power cut")

    path = tmp_path / "results.json"
    with pytest.raises(RuntimeError, match="power cut"):
        run_pieces(
            [_piece("speed/a", []), Piece("speed/b", fail)], _place(tmp_path), path, again=False, say=lambda _: None
        )
    assert list(json.loads(path.read_text(encoding="utf-8"))) == ["speed/a"]


def test_a_setting_that_does_not_exist_stops_before_anything_is_measured(tmp_path: Path) -> None:
    calls: list[str] = []
    wrong = Trial("wrong", PETS, settings={"training.magic": 1})
    pieces = [_piece("speed/a", calls), _piece("speed/b", calls, wrong)]
    with pytest.raises(ConfigError, match=r"training\.magic: no such setting"):
        run_pieces(pieces, _place(tmp_path), tmp_path / "results.json", again=False, say=lambda _: None)
    assert calls == []


def test_other_settings_make_a_result_outdated(tmp_path: Path) -> None:
    path, calls = tmp_path / "results.json", []  # type: tuple[Path, list[str]]
    short, long = (Trial("t", PETS, settings={"training.n_epochs": n}) for n in (3, 4))
    run_pieces([_piece("speed/a", calls, short)], _place(tmp_path), path, again=False, say=lambda _: None)
    assert standing([_piece("speed/a", calls, short)], path).done == ("speed/a",)
    now = standing([_piece("speed/a", calls, long), _piece("speed/b", calls)], path)
    assert (now.outdated, now.left) == (("speed/a",), ("speed/b",))
    assert now.lines()[-1] == "0 done, 1 outdated, 1 left"


def test_a_damaged_result_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="is damaged"):
        read_results(path)


def test_labels_depend_on_the_student_only_if_it_is_asked() -> None:
    femto, other = Trial("a", PETS).config(), Trial("b", PETS, "ssdlite-mobilenet-v2", 300, seed=3).config()
    assert labels_key(femto, PETS) == labels_key(other, PETS)
    assert labels_key(femto, PETS) != labels_key(femto, NGSIM)
    zoom, other_zoom = (Trial("a", PETS, model, teacher="zoom").config() for model in ("yolox-nano", "street-nano"))
    assert labels_key(zoom, PETS) != labels_key(other_zoom, PETS)


def test_refinement_needs_no_other_labels_but_is_another_setting() -> None:
    plain = Trial("a", PETS).config()
    refined = Trial("a", PETS, settings={"annotation.refine.fill_gaps": "label"}).config()
    assert labels_key(plain, PETS) == labels_key(refined, PETS)
    assert settings_key(plain) != settings_key(refined)


def test_settings_of_a_machine_are_no_settings_of_a_result(tmp_path: Path) -> None:
    trial = Trial("a", PETS)
    here = trial.config({"models_dir": tmp_path, "training.n_threads": 1, "training.replay.folder": tmp_path})
    assert settings_key(trial.config()) == settings_key(here)


def test_hiding_is_a_setting_of_a_result_only_where_something_is_hidden() -> None:
    config = Trial("a", PETS).config()
    blurred = Trial("a", PETS, settings={"privacy.outside": "blur"}).config()
    assert settings_key(config) != settings_key(blurred)


def test_a_guard_that_is_the_default_is_trained_once() -> None:
    is_default = all(default_of(key) == value for key, value in GUARDS["none"].items())
    assert (guarded("pets", "none") == specialized("pets")) == is_default
    assert guarded("pets", "generic pictures") != specialized("pets")


def test_a_copy_shares_pictures_and_nothing_that_grows(tmp_path: Path) -> None:
    labelled = tmp_path / "labelled"
    (labelled / "dataset" / "frames").mkdir(parents=True)
    for name in ("dataset/frames/a.png", "dataset/journal.jsonl", "dataset/.lock", "state.json"):
        (labelled / name).write_text(name, encoding="utf-8")
    copy = tmp_path / "copy"
    copy_labelled(labelled, copy)
    assert (copy / "dataset" / "frames" / "a.png").samefile(labelled / "dataset" / "frames" / "a.png")
    assert not (copy / "dataset" / "journal.jsonl").samefile(labelled / "dataset" / "journal.jsonl")
    assert not (copy / "dataset" / ".lock").exists()
    (copy / "state.json").write_text("trained", encoding="utf-8")
    copy_labelled(labelled, copy)
    assert (copy / "state.json").read_text(encoding="utf-8") == "trained"
    assert (labelled / "state.json").read_text(encoding="utf-8") == "state.json"
