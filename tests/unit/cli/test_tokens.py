"""`edge-autotuner tokens` and `audit`: what they print, and what they refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edge_autotuner.server.tokens import open_authenticator
from support.runs.cli_runs import Outcome, run_cli


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'service.db'}"


def tokens(url: str, *arguments: str) -> Outcome:
    return run_cli("tokens", *arguments, "--database", url)


def scopes_of(url: str, token: str) -> set[str] | None:
    known = open_authenticator(url)
    caller = known.identify(token)
    known.close()
    return set(caller.scopes) if caller else None


def test_a_new_token_is_printed_alone(url: str) -> None:
    outcome = tokens(url, "add", "gate", "--scope", "annotate", "--scope", "train", "--expires", "90d")
    assert outcome.code == 0
    assert re.fullmatch(r"eat_[0-9a-f]{16}_[\w-]{43}\n", outcome.out)
    assert re.fullmatch(
        r"the token of 'gate', shown only once; it expires at 20.. UTC\n".replace("..", ".*"), outcome.err
    )
    assert scopes_of(url, outcome.out.strip()) == {"annotate", "train"}


def test_a_token_is_replaced_and_revoked(url: str) -> None:
    old = tokens(url, "add", "gate", "--scope", "annotate").out.strip()
    outcome = tokens(url, "rotate", "gate", "--overlap", "1h")
    new = outcome.out.strip()
    assert outcome.err == "the token of 'gate', shown only once; it does not expire\n"
    assert scopes_of(url, old) == scopes_of(url, new) == {"annotate"}
    assert tokens(url, "revoke", "gate").out == "2 tokens of 'gate' revoked\n"
    assert scopes_of(url, old) is scopes_of(url, new) is None


def test_the_list_shows_no_secret(url: str) -> None:
    token = tokens(url, "add", "gate", "--scope", "annotate").out.strip()
    assert tokens(url, "list").out == f"gate  {token[:20]}_...  current  annotate  never expires  never used\n"


def test_what_was_done_is_in_the_audit_log(url: str) -> None:
    tokens(url, "add", "gate", "--scope", "annotate")
    tokens(url, "revoke", "gate")
    shown = run_cli("audit", "show", "--database", url).out.splitlines()
    assert [line.split("  ", 2)[2] for line in shown] == [
        "(command line)  token-added  gate  done  annotate",
        "(command line)  token-revoked  gate  done",
    ]
    entries = [json.loads(line) for line in run_cli("audit", "show", "--json", "--database", url).out.splitlines()]
    assert [(entry["seq"], entry["action"]) for entry in entries] == [(1, "token-added"), (2, "token-revoked")]
    assert len(run_cli("audit", "show", "--last", "1", "--database", url).out.splitlines()) == 1


def test_the_audit_log_is_verified(url: str) -> None:
    tokens(url, "add", "gate", "--scope", "annotate")
    outcome = run_cli("audit", "verify", "--database", url)
    assert outcome.code == 0
    known = re.fullmatch(r"1 entries are intact; the last is (1:[0-9a-f]{64})\n", outcome.out)
    assert known
    assert run_cli("audit", "verify", "--known", known[1], "--database", url).code == 0
    wrong = run_cli("audit", "verify", "--known", f"9:{known[1][2:]}", "--database", url)
    assert (wrong.code, wrong.out) == (12, "")
    assert "damaged or was tampered with: entry 9 is missing" in wrong.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["tokens", "add", "gate", "--scope", "root"], "got root", id="scope"),
        pytest.param(["tokens", "add", "a/b", "--scope", "train"], "a client's name", id="name"),
        pytest.param(
            ["tokens", "add", "gate", "--scope", "train", "--expires", "soon"], "not a duration", id="expires"
        ),
        pytest.param(["tokens", "rotate", "gate"], "has no token to rotate", id="rotate"),
        pytest.param(["tokens", "revoke", "gate"], "has no valid token", id="revoke"),
        pytest.param(["audit", "verify", "--known", "x"], "use NUMBER:HASH", id="known"),
    ],
)
def test_mistakes_are_explained(url: str, arguments: list[str], message: str) -> None:
    outcome = run_cli(*arguments, "--database", url)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err


def test_the_database_is_that_of_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    assert run_cli("tokens", "add", "gate", "--scope", "train", "--data", data).code == 0
    [file] = [path for path in data.iterdir() if not path.name.endswith(("-wal", "-shm"))]
    settings = tmp_path / "service.yaml"
    settings.write_text(f"data: {data}\n")
    assert "gate" in run_cli("tokens", "list", "--config", settings).out
    monkeypatch.setenv("EDGE_AUTOTUNER_DATABASE", f"sqlite:///{file}")
    assert "gate" in run_cli("tokens", "list").out
