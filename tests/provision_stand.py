"""Runs the provisioning script, dry or against the stand-in of `gcloud`, with a filled-in configuration."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
VALUES = {
    "PROJECT": "demo-project",
    "PROJECT_NUMBER": "123456789012",
    "REGION": "us-east1",
    "BIGQUERY_LOCATION": "US",
    "DATASET": "tipoff",
    "STAGING_DATASET": "tipoff_staging",
    "FIRESTORE_LOCATION": "nam5",
    "FIRESTORE_DATABASE": "tipoff-ledger",
    "REQUESTS_TOPIC": "requests",
    "OUTCOMES_TOPIC": "outcomes",
    "FINISHED_TOPIC": "finished",
    "REPOSITORY": "tipoff",
    "IMAGE_TAG": "0123abc",
    "MODEL": "gs://demo-models/season/model.json",
    "OPERATORS": "group:oncall@example.com",
    "VIEWERS": "group:analysts@example.com",
    "ALERT_EMAIL": "oncall@example.com",
}


@dataclass
class Provisioning:
    """The script with its configuration in a folder of its own, where the stand-in keeps its cloud."""

    folder: Path
    values: dict[str, str] = field(default_factory=lambda: dict(VALUES))
    pin_check: str = "true"
    """What tells whether the builds' steps are pinned: here they are, whatever the files say."""

    def __post_init__(self) -> None:
        (self.folder / "resources").mkdir()
        for kept in ("openings", "bindings", "labels", "trouble"):
            (self.folder / kept).mkdir()
        programs = self.folder / "bin"
        programs.mkdir()
        for command in ("gcloud", "bq", "tipoff", "curl"):
            (programs / command).symlink_to(ROOT / "tests" / "fake_gcloud.sh")

    def resources(self) -> set[str]:
        """What is there, as `kind__name`."""
        return {file.name for file in (self.folder / "resources").iterdir()}

    def lose(self, resource: str) -> None:
        """Have one gone, as if it had never been made."""
        (self.folder / "resources" / resource).unlink()

    def trouble(self, command: str, says: str, times: int) -> None:
        """Have the next commands that contain a text fail, so many times, with what they say."""
        found = self.folder / "trouble"
        (found / str(len(list(found.iterdir())))).write_text(f"{command}\n{says}\n{times}\n", encoding="utf-8")

    def unlabel(self, resource: str) -> None:
        """Have one be somebody else's."""
        (self.folder / "labels" / resource).unlink()

    def gcloud(self, *words: str, caller: str) -> subprocess.CompletedProcess[str]:
        """Call the stand-in of gcloud as somebody: a member, such as `group:oncall@example.com`."""
        environ = {"PATH": os.environ["PATH"], "FAKE_CLOUD": str(self.folder), "FAKE_CALLER": caller}
        command = [str(self.folder / "bin" / "gcloud"), *words]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)

    def open_to(self, service: str, whom: str) -> None:
        """Let strangers call a service: `allUsers` or `allAuthenticatedUsers` by a binding, all while it is `unchecked`, and
        in ways that no command mends: `anybody`, or who has a `forged` token."""
        (self.folder / "openings" / f"{service}__{whom}").touch()

    def openings(self) -> set[str]:
        """What lets strangers in, as `service__whom`."""
        return {file.name for file in (self.folder / "openings").iterdir()}

    def run(self, *options: str, script: str = "provision.sh") -> subprocess.CompletedProcess[str]:
        """Run it, or another script that takes the same configuration, to its end."""
        config = self.folder / "config.env"
        config.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in self.values.items()))
        programs = self.folder / "bin"
        environ = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "FAKE_CLOUD": str(self.folder),
            "TIPOFF": str(programs / "tipoff"),
            "PIN": self.pin_check,
            "PYTHON": sys.executable,
            "STRANGERS_WAIT_SECONDS": "0",
            "PROVISION_WAIT_SECONDS": "0",
        }
        command = [str(DEPLOY / script), str(config), *options]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)

    def calls(self) -> list[list[str]]:
        """Every command that was run since the last look."""
        log = self.folder / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        log.write_text("")
        return [shlex.split(line) for line in lines]

    def printed(self, *options: str) -> list[list[str]]:
        """The commands that a dry run prints, taken apart as a shell would."""
        done = self.run("--dry-run", *options)
        assert done.returncode == 0, done.stderr
        return [shlex.split(line) for line in done.stdout.splitlines() if not line.startswith("#")]


def flags_of(command: list[str]) -> dict[str, str]:
    """Flag to value."""
    return dict(word[2:].partition("=")[::2] for word in command if word.startswith("--"))


def environment_of(command: list[str]) -> dict[str, str]:
    """The settings that a command gives a service."""
    return dict(re.findall(r"(\w+)=([^,]*)", flags_of(command)["update-env-vars"]))
