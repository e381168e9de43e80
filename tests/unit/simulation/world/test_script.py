"""Scripts: what is read, what is refused with its place, and what happens when."""

from __future__ import annotations

import random
import re
from importlib.resources import files
from pathlib import Path

import pytest

from edge_autotuner.errors import ConfigError
from edge_autotuner.simulation.world import READY_SCRIPTS, WorldScript, load_script, open_world
from edge_autotuner.simulation.world.schedule import ScriptedConditions

HOUR = 3600.0


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "script.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", READY_SCRIPTS)
def test_ready_scripts_are_sound(name: str) -> None:
    script = load_script(name)
    world = open_world(script.model_copy(update={"size": "160x96"}))
    assert world.info.n_frames == script.n_frames
    assert world.image(script.n_frames - 1).shape == (96, 160, 3)


def test_the_ready_scripts_are_told_apart_by_what_returns() -> None:
    """dynamic: nothing returns; semi-repetitive: something does; repetitive: everything does."""
    returns = {name: [event.every is not None for event in load_script(name).events] for name in READY_SCRIPTS}
    assert not any(returns["dynamic"])
    assert any(returns["semi-repetitive"])
    assert not all(returns["semi-repetitive"])
    assert all(returns["repetitive"])


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("length: 1h\nevents:\n  - what: rain\n    at: 2h\n", ":4: events.0.at", "after the end of the script"),
        ("events:\n  - {what: rain, for: 10s, fade: 6s}\n", ":2: events.0.fade", "coming and going take 12 s"),
        ("events:\n  - {what: rain, times: 3}\n", ":2: events.0.times", "'every' is missing"),
        ("events:\n  - {what: rain, every: 10s}\n", ":2: events.0.every", "needs an end"),
        ("events:\n  - {what: rain, for: 20s, every: 10s}\n", ":2: events.0.every", "before it has ended"),
        (
            "events:\n  - {what: rain}\n  - {what: rain, at: 5s}\n",
            ":3: events.1.at",
            "rain begins at 5 s, but rain (event 1)",
        ),
        ("events:\n  - {what: dusk, for: 20s}\n  - {what: night, at: 5s}\n", ":3: events.1.at", "lasts until 20 s"),
        ("daylight: cycle\nevents:\n  - {what: night}\n", ":3: events.0.what", "contradicts 'daylight: cycle'"),
        ("size: 641x360\n", ":1: size", "multiples of 8"),
        ("size: big\n", ":1: size", "expected WIDTHxHEIGHT"),
        ("shares: {bus: 0.7, van: 0.7}\n", ":1: shares", "more than 1"),
        (
            "shares: {car: 0.6}\nevents:\n  - {what: new-class, kind: bus, share: 0.3, at: 9s}\n"
            "  - {what: new-class, kind: van, share: 0.2, at: 2s}\n",
            ":3: events.0.share",
            "the shares of vehicles add up to 1.1 then",
        ),
        ("events:\n  - {what: hail}\n", ":2: events.0.what", "'rain'"),
        ("events:\n  - {what: rain, kind: bus}\n", ":2: events.0", "'kind' belongs to new-class"),
        ("events:\n  - {what: season}\n", ":2: events.0", "season needs 'season'"),
        ("events:\n  - {what: turn}\n", ":2: events.0", "turn needs 'right' or 'down'"),
        ("shares: {bus: 0.1}\nevents:\n  - {what: new-class, kind: bus}\n", ":3: events.0.kind", "is no new class"),
        ("lenght: 1h\n", ":1: lenght", "no such setting"),
        ("events:\n  - {what: rain, for: 1s, every: 1s}\nlength: 30d\n", ":2: events.0.every", "more than 10000 times"),
        (
            "length: 9d\nevents:\n"
            + "".join(f"  - {{what: rain, at: {n}s, for: 1s, every: 5min}}\n" for n in range(9)),
            ":2: events",
            "23328 times together",
        ),
        ("events: [" + "{what: rain}, " * 501 + "]\n", ":1: events", "at most 500"),
        ("events: [{what: rain, at: -5s}]\n", ":1: events.0.at", "'-5s' is not a duration"),
        ("events: [{what: turn, right: .nan}]\n", ":1: events.0.right", "less than or equal to 45"),
        ("shares: {bus: .nan}\n", ":1: shares.bus", "less than or equal to 1"),
        (f"length: {'9' * 400}\n", ":1: ", "a number of 400 digits; the limit for settings is 100"),
        (f"length: {'9' * 90}\n", ":1: length", "at most 36500 days"),
        ("length: 1e400\n", ":1: length", "positive and finite"),
        ("day: 1.0e-320\n", ":1: day", "greater than or equal to 1"),
        ("rate: 1.0e-300\n", ":1: rate", "greater than or equal to 0.001"),
        ("seed: 1\nseed: 2\n", ":2: ", "duplicate key 'seed'"),
        ("seed: !!int 9min\n", ":1: ", "not a whole number"),
        ("events: &a [*a]\n", ":1: ", "an alias refers to a value that contains it"),
        (
            "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "".join(f"{'bcdefg'[n]}: &{'bcdefg'[n]} [{', '.join(['*' + 'abcdefg'[n]] * 9)}]\n" for n in range(6)),
            ":5: ",
            "more than 20000 values",
        ),
        ("# " + "x" * 10_000_000, ": ", "larger than 256 KiB"),
        ("sc\u00e9ne: street\n", ":1: sc\u00e9ne", "no such setting"),
        (f"scene: {'x' * 5000}\n", ":1: scene", "x..."),
    ],
)
def test_mistakes_are_told_with_file_line_and_key(text: str, place: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_script(path)
    assert f"{path}{place}" in str(caught.value)
    assert message in str(caught.value)


_ODD = (
    ".nan",
    "-.inf",
    "-1",
    "-5min",
    "1e308",
    "9" * 90,
    "0",
    "1e-320",
    "~",
    "true",
    "[]",
    "{}",
    "&a [1]",
    "*a",
    "!!binary aGk=",
    "!!python/object:os.system x",
    "\u202e",
    "\U0001f600",
    "1e-9",
    "rain",
    "99999999999999999999h",
    "7d",
    "1_0",
    "0x10",
    "'",
    '"',
)


def mutated(text: str, draws: random.Random) -> str:
    """Replace a value, a piece or a line of a script by something odd, or repeat a line."""
    lines = text.split("\n")
    number, value = draws.randrange(len(lines)), draws.choice(_ODD)
    values = list(re.finditer(r": ([^,}\n]+)", text))
    found, start = draws.choice(values), draws.randrange(len(text))
    return draws.choice([
        text[: found.start(1)] + value + text[found.end(1) :],
        text[:start] + value + text[start:],
        text[:start] + text[start + draws.randrange(1, 12) :],
        "\n".join([*lines[:number], draws.choice(lines), *lines[number:]]),
    ])  # fmt: skip


def refusal(path: Path) -> str | None:
    """Return why a script is refused; None if it is read, and conditions follow from it."""
    try:
        script = load_script(path)
    except ConfigError as exc:
        return str(exc)
    schedule = ScriptedConditions(script)
    for index in (0, script.n_frames // 2, script.n_frames - 1):
        schedule.at(index / script.rate)
    return None


@pytest.mark.parametrize("seed", range(4))
def test_a_mutated_script_is_read_or_refused_with_its_place(seed: int, tmp_path: Path) -> None:
    draws = random.Random(seed)
    folder = Path(str(files("edge_autotuner.simulation.world"))) / "scripts"
    told = []
    for _ in range(60):
        text = (folder / f"{draws.choice(READY_SCRIPTS)}.yaml").read_text("utf-8")
        told.append(refusal(write(tmp_path, mutated(text, draws))))
    refused = [text for text in told if text is not None]
    assert 20 <= len(refused) < 60
    assert all(str(tmp_path) in text for text in refused)
    assert max(map(len, refused)) < 20_000


def test_no_time_may_be_written_in_all_ways(tmp_path: Path) -> None:
    for zero in ("0", "0s", "0.0", "'0min'"):
        assert load_script(write(tmp_path, f"events: [{{what: rain, at: {zero}, fade: {zero}}}]")).events[0].at == 0


def test_an_unknown_name_lists_the_ready_scripts() -> None:
    with pytest.raises(ConfigError, match="dynamic, semi-repetitive, repetitive, quiet-day, week"):
        load_script("weekend")


def conditions(tmp_path: Path, text: str) -> ScriptedConditions:
    return ScriptedConditions(load_script(write(tmp_path, text)))


def test_an_event_comes_stays_goes_and_returns(tmp_path: Path) -> None:
    at = conditions(tmp_path, "length: 10min\nevents: [{what: rain, at: 1min, for: 40s, fade: 10s, strength: 1, "
                    "every: 2min, times: 2}]").at  # fmt: skip
    assert [at(t).rain for t in (59, 65, 75, 95, 101, 200, 311)] == [0, 16, 32, 16, 0, 32, 0]


def test_light_goes_from_one_event_to_the_next(tmp_path: Path) -> None:
    at = conditions(tmp_path, "length: 100s\nevents: [{what: dusk, at: 10s, fade: 10s}, {what: night, at: 40s}, "
                    "{what: infrared, at: 60s}, {what: dawn, at: 80s, fade: 10s}]").at  # fmt: skip
    assert [at(t).daylight for t in (0, 15, 30, 50, 70, 85, 95)] == [32, 22, 12, 0, 0, 16, 32]
    assert [at(t).is_infrared for t in (50, 70, 95)] == [False, True, False]


def test_a_day_can_be_compressed(tmp_path: Path) -> None:
    script = write(tmp_path, "length: 2d\nday: 60s\nrate: 5\nstarts_at: '00:00'\ndaylight: cycle\nnight: infrared\n")
    loaded = load_script(script)
    assert loaded.n_frames == 600
    at = ScriptedConditions(loaded).at
    assert [at(t).daylight for t in (0, 30, 60, 90)] == [0, 32, 0, 32]
    assert at(0).is_infrared
    assert at(30).demand.traffic > 5 * at(0).demand.traffic


def test_turned_cameras_new_classes_works_and_seasons(tmp_path: Path) -> None:
    at = conditions(tmp_path, "length: 100s\nevents: [{what: turn, at: 10s, right: 2, down: -0.5}, "
                    "{what: new-class, at: 20s, kind: bus, share: 0.1}, {what: roadworks, at: 30s, for: 10s}, "
                    "{what: season, at: 50s, season: winter}, {what: traffic, at: 60s, factor: 0.5}]").at  # fmt: skip
    assert [at(t).turn for t in (5, 15)] == [(0, 0), (200, -50)]
    assert [at(t).demand.shares for t in (5, 25)] == [{"bus": 0.0}, {"bus": 0.1}]
    assert [at(t).demand.has_works for t in (25, 35, 45)] == [False, True, False]
    assert [at(t).season for t in (45, 55)] == ["summer", "winter"]
    assert [at(t).demand.traffic for t in (55, 65)] == [1.0, 0.5]


def test_a_new_class_may_come_twice_and_take_turns_with_another(tmp_path: Path) -> None:
    at = conditions(tmp_path, "length: 100s\nevents: [{what: new-class, at: 10s, for: 10s, kind: bus, share: 0.8}, "
                    "{what: new-class, at: 20s, for: 10s, kind: van, share: 0.8}, "
                    "{what: new-class, at: 40s, for: 10s, kind: bus}]").at  # fmt: skip
    shares = [at(t).demand.shares for t in (5, 15, 25, 35, 45)]
    assert [one["bus"] for one in shares if one] == [0, 0.8, 0, 0, 0.2]
    assert [one["van"] for one in shares if one] == [0, 0, 0.8, 0, 0]


@pytest.mark.parametrize(("night", "is_infrared"), [("colour", False), ("infrared", True)])
def test_what_the_camera_does_at_night_is_what_the_script_says(tmp_path: Path, night: str, is_infrared: bool) -> None:
    at = conditions(tmp_path, f"night: {night}\nlength: 100s\nevents: [{{what: infrared, at: 10s}}, "
                    "{what: night, at: 50s}]").at  # fmt: skip
    assert [at(t).is_infrared for t in (5, 20, 60)] == [False, True, is_infrared]


def test_a_season_changes_within_its_fade_and_so_do_its_days(tmp_path: Path) -> None:
    at = conditions(tmp_path, "length: 100s\nevents: [{what: season, at: 20s, for: 60s, fade: 20s, season: winter}]").at
    assert [at(t).foliage.share_of("winter") for t in (10, 20, 25, 30, 40, 50, 70, 90)] == [0, 0, 8, 16, 32, 32, 16, 0]
    assert [at(t).foliage.share_of("summer") for t in (10, 25, 50)] == [32, 24, 0]
    chain = conditions(tmp_path, "length: 100s\nevents: [{what: season, at: 10s, fade: 10s, season: autumn}, "
                       "{what: season, at: 40s, fade: 10s, season: winter}]").at  # fmt: skip
    assert [(chain(t).season, chain(t).season_before) for t in (15, 30, 45, 60)] == [
        ("autumn", "summer"), ("autumn", None), ("winter", "autumn"), ("winter", None),
    ]  # fmt: skip


def test_overrides_replace_what_the_file_says() -> None:
    assert load_script("week", {"scene": "parking", "camera": 3, "size": None}).scene == "parking"
    assert isinstance(load_script("quiet-day"), WorldScript)
