"""`tipoff run` where the batch does not end well: it exits 1, says why and what to do, and changes nothing."""

from __future__ import annotations

from pathlib import Path

from tests.tipoff_command import DAY, Ran, read_csv, tipoff, write_league

LEAGUE = {"Ann": [20, 22, 24], "Bo": [10, 12, 8], "Cy": [5, 7, 9], "Dee": [15, 15, 18]}


def run(folder: Path, *arguments: str) -> Ran:
    """Run the day of the league in `folder`."""
    return tipoff("run", "--data", "data", "--game-date", DAY, "--state", "state", *arguments, cwd=folder)


def test_a_day_of_impossible_points_fails_and_exports_nothing(tmp_path: Path) -> None:
    write_league(tmp_path / "data", players={name: [1000, 1100, 1200] for name in LEAGUE})

    failed = run(tmp_path, "--json", "--export", "predictions.csv")

    assert (failed.status, failed.json["state"], failed.json["exported"]) == (1, "FAILED", None)
    assert failed.json["players"]["failed"] == 4
    assert failed.json["failed"] == dict.fromkeys(("ann", "bo", "cy", "dee"), "bad_request")
    assert failed.err.count("\n") == 1
    assert failed.json["reason"] in failed.err
    assert "ann (bad_request)" in failed.err
    assert "mend the inputs and run again" in failed.err
    assert "1100.0 must be multiples of 0.1 from 0 to 999.9" in (tmp_path / failed.json["log"]).read_text(
        encoding="utf-8"
    )
    assert not (tmp_path / "predictions.csv").exists()


def test_after_the_inputs_are_mended_the_next_run_completes(tmp_path: Path) -> None:
    write_league(tmp_path / "data", players={name: [1000, 1100, 1200] for name in LEAGUE})
    failed = run(tmp_path)
    write_league(tmp_path / "data", players=LEAGUE)

    mended = run(tmp_path, "--json")

    assert failed.status == 1
    assert "is FAILED: " in failed.out
    assert "failed: ann (" in failed.out
    assert (mended.status, mended.json["state"], mended.json["rows"]["inserted"]) == (0, "COMPLETE", 20)


def test_retiring_most_of_a_date_needs_a_persons_word(tmp_path: Path) -> None:
    write_league(tmp_path / "data", players=LEAGUE)
    before = run(tmp_path, "--json")
    write_league(tmp_path / "data", players={f"{name} Two": points for name, points in LEAGUE.items()})

    refused = run(tmp_path)
    allowed = run(tmp_path, "--json", "--allow-retiring", "--export", "predictions.csv")

    assert before.json["rows"]["inserted"] == 20
    assert refused.status == 1
    assert "would retire 20 of 20 active rows" in refused.err
    assert "--allow-retiring" in refused.err
    assert "The ensemble's highest predictions" not in refused.out
    assert (allowed.status, allowed.json["rows"]["superseded"]) == (0, 20)
    assert {row["player_lookup"] for row in read_csv(tmp_path / "predictions.csv")} == {
        "ann-two",
        "bo-two",
        "cy-two",
        "dee-two",
    }


def test_simulated_predictions_do_not_stand_in_the_way_of_ones_own(tmp_path: Path) -> None:
    sample = tipoff("run", "--json", "--state", "state", cwd=tmp_path)
    write_league(tmp_path / "data", players=LEAGUE)

    own = run(tmp_path, "--json")

    assert sample.json["inputs"]["simulated"] is True
    assert (own.status, own.json["inputs"]["simulated"]) == (0, False)
    assert (own.json["rows"]["inserted"], own.json["rows"]["superseded"]) == (20, 0)
