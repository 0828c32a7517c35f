"""`tipoff up` as a person uses it: it says where everything is, keeps it running, and leaves nothing behind."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.emulators import skip_or_fail
from tests.tipoff_command import command, environment, tipoff

pytestmark = pytest.mark.xdist_group("emulated_stack")  # beside another stack it would only be slower

SECONDS = 120


def test_own_data_needs_a_date(tmp_path: Path) -> None:
    ran = tipoff("up", "--data", tmp_path, "--state", tmp_path / "state")

    assert (ran.status, ran.out) == (2, "")
    assert "--game-date: missing" in ran.err


def test_it_says_where_everything_is_and_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("up", "--state", tmp_path / "state"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if line.startswith("Ctrl-C"):
            break
    else:
        _, told = process.communicate(timeout=SECONDS)
        if "needs" in told:
            skip_or_fail(told)
        pytest.fail(said + told)
    ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", said)}
    another = tipoff("up", "--state", tmp_path / "state")
    is_open = [is_listening(port) for port in ports]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=SECONDS)

    assert len(ports) == 6
    assert all(is_open)
    assert (another.status, "in use by another process" in another.err) == (2, True)
    assert process.returncode == 0
    assert not any(is_listening(port) for port in ports)
    assert (tmp_path / "state/simulated/up/ledger/ledger.overall_export_metadata").is_file()


def is_listening(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
