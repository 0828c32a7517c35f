"""Tables of the terminal: nothing that a person came for is cut, in a file or in a narrow window."""

from __future__ import annotations

import io

import pytest
from rich.table import Table

from coordinator.rules.quotas import forecast
from local.cli.status import _shards
from local.cli.terminal import Terminal
from tests.tipoff_command import tipoff


def a_table() -> Table:
    table = Table("batch", "what became of it", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    table.add_row("20260130_0123456789abcdef", "published two silent players again and recorded four from staging")
    return table


@pytest.mark.parametrize("width", [12, 26, 40, 200])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_every_word_of_a_table_is_printed(*, width: int, is_terminal: bool) -> None:
    out = Terminal(file=io.StringIO(), width=width, force_terminal=is_terminal, color_system=None)

    out.print(a_table())

    shown = out.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert "…" not in shown
    assert "20260130_0123456789abcdef" in shown
    assert [
        word
        for word in ["published", "two", "silent", "players", "again", "and", "recorded", "four", "from", "staging"]
        if word not in shown
    ] == []
    assert out.width == width


def test_a_file_gets_each_row_on_one_line() -> None:
    out = Terminal(file=io.StringIO(), width=30)

    out.print(a_table())

    assert out.file.getvalue().count("\n") == 2  # type: ignore[attr-defined]  # a StringIO


def test_a_piped_quota_table_has_every_name_and_unit_whole() -> None:
    ran = tipoff("quota", "--players", "20000")

    assert ran.status == 0, ran.err
    assert "…" not in ran.out
    lines = ran.out.splitlines()
    for one in forecast(20_000):
        assert any(line.startswith(one.name) and f" {one.unit} " in line for line in lines), one


@pytest.mark.parametrize(("count", "silent", "shown"), [(15, {0}, [*range(15)]), (30, {3, 29}, [*range(19), 29])])
def test_shards_are_told_in_their_order_those_in_need_among_them(
    count: int, silent: set[int], shown: list[int]
) -> None:
    out = Terminal(file=io.StringIO(), width=200)
    a_shard = {"expected": 25, "predicted": 25, "skipped": 0, "failed": 0, "published_at": None, "publishes": 1}

    out.print(_shards([{**a_shard, "shard": number, "silent": int(number in silent)} for number in range(count)]))

    lines = out.file.getvalue().splitlines()[1:]  # type: ignore[attr-defined]  # a StringIO
    assert [int(line.split()[0]) for line in lines if not line.startswith("...")] == shown
