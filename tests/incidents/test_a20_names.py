"""A20: player names with dots or hyphens broke or split the update. Tuples of segments hold every name there is."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

from shared.ports import DocumentStore, Update
from shared.ports import Path as DocumentPath
from tests.documents_kit import fields_of, make

DELIVERY = "0123456789abcdef"
NAMES = (
    "karl-anthony-towns", "o.g.-anunoby", "p.j.-washington", "de'aaron-fox", "nikola-jokić", "trey-murphy-iii",
    "d'angelo-russell", "kelly-oubre-jr.", "luka-dončić", "shai-gilgeous-alexander", "ron-holland-ii",
)  # fmt: skip
PLAYERS_PER_SHARD = 50


def record_each(documents: DocumentStore, shard: DocumentPath, names: list[str]) -> None:
    for rows, name in enumerate(names):
        documents.commit([Update(shard, {("predicted", name, DELIVERY): {"rows": rows, "table": "staging"}})])


def assert_all_kept(documents: DocumentStore, shard: DocumentPath, names: list[str]) -> None:
    entries = {name: {DELIVERY: {"rows": rows, "table": "staging"}} for rows, name in enumerate(names)}
    assert fields_of(documents, shard) == {"expected": dict.fromkeys(names, True), "predicted": entries}


@pytest.mark.parametrize("name", NAMES)
def test_a20_a_name_is_one_map_key_whatever_it_contains(
    documents: DocumentStore, batches: DocumentPath, name: str
) -> None:
    shard = make(documents, (*batches, "b1", "shards", "0"), {"expected": {name: True}, "predicted": {}})

    record_each(documents, shard, [name])

    assert_all_kept(documents, shard, [name])


def test_a20_names_that_are_prefixes_of_each_other_stay_apart(documents: DocumentStore, batches: DocumentPath) -> None:
    names = ["p", "p.j", "p.j.", "p.j.-washington", "p`", "p\\", "p-"]
    shard = make(documents, (*batches, "b1", "shards", "0"), {"expected": dict.fromkeys(names, True), "predicted": {}})

    record_each(documents, shard, names)

    assert_all_kept(documents, shard, names)


def test_a20_every_real_name_is_kept(documents: DocumentStore, batches: DocumentPath, real_data: Path) -> None:
    names = sorted(real_names(real_data))
    assert len(names) > 500

    for number, first in enumerate(range(0, len(names), PLAYERS_PER_SHARD)):
        some = names[first : first + PLAYERS_PER_SHARD]
        shard = make(documents, (*batches, "b1", "shards", str(number)), {"expected": dict.fromkeys(some, True)})
        record_each(documents, shard, some)
        assert_all_kept(documents, shard, some)


def real_names(folder: Path) -> set[str]:
    """The lookups made of official names and of the sportsbooks' spellings."""
    spelled: set[str] = set()
    for file in sorted(folder.glob("*.csv.gz")):
        with gzip.open(file, "rt", encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows):
                spelled |= {row.get("player_name") or "", row.get("player_name_book") or ""}
    spelled.discard("")
    return {name.lower().replace(" ", "-") for name in spelled}
