"""The deployment's files are what their readers take: gcloud's own parser, Cloud Build's schema, shellcheck, bq's flags."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.emulated.cloud_faults import describe_command, read_command, run_command
from tests.documents import PAGES, blocks
from tests.emulators import skip_or_fail
from tests.provision_stand import DEPLOY, ROOT, Provisioning, flags_of

BUILDS = [ROOT / "cloudbuild.yaml", DEPLOY / "images.yaml"]
OWN_SUBSTITUTIONS = {"PROJECT_ID", "COMMIT_SHA"}


def program(name: str) -> str:
    """A program of the development environment."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    return found or skip_or_fail(f"{name} is not installed")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """Every command that the script may run."""
    provisioning = Provisioning(tmp_path_factory.mktemp("dry"))
    return provisioning.printed() + provisioning.printed("--destroy")


def build_commands() -> list[str]:
    """The gcloud commands of the builds' steps."""
    texts = "".join(file.read_text(encoding="utf-8") for file in BUILDS)
    found = re.findall(r"^ +(gcloud .*)$|\$\$\((gcloud [^)]*)\)", texts, re.MULTILINE)
    plain = [re.sub(r'"\$\$\(cat [^)]*\)"', "an-image", direct or nested) for direct, nested in found]
    return [filled_in(re.sub(r"\$\{?_?(\w+)\}?", r"\1", command)) for command in plain]


def documented_commands() -> list[str]:
    """The gcloud commands that the documents tell a person to run."""
    lines = [line for page in PAGES for block in blocks(page) for line, _ in block.commands]
    shown = (re.sub(r"\$\([^)]*\)|\$\w+", "a", line) for line in lines if line.startswith("gcloud "))
    return [filled_in(line) for line in shown]


def acceptance_commands() -> list[list[str]]:
    """The commands by which acceptance has the sweep's job run, and reads of it and of the log."""
    where = {"project": "a-project", "region": "us-east1"}
    words = [run_command(**where), describe_command(**where), read_command("20990130_0123456789abcdef", project="p")]
    return [["gcloud", *one] for one in words]


def filled_in(command: str) -> str:
    """A command whose placeholders (in capitals) are names that could be."""
    return re.sub(r"\b[A-Z][A-Z_]+\b(?!=)", lambda found: f"a-{found[0].lower().replace('_', '-')}", command)


def of_one_form(commands: list[str]) -> list[str]:
    """One command of each form, as the parser looks at flags and groups: names and accounts are made alike."""
    forms = {}
    for command in commands:
        words, flags = command.split(" --")[0].split(), re.findall(r"--[\w-]+(?:=[a-z]+\b)?", command)
        forms[(*words[:4], len(words), *flags)] = command
    return list(forms.values())


def test_gcloud_understands_every_command(printed: list[list[str]], tmp_path: Path) -> None:
    gcloud = shutil.which("gcloud") or skip_or_fail("gcloud is not installed")
    scripted = [
        " ".join(f"'{word}'" if re.search(r"[\s\"*{]", word) else word for word in one)
        for one in [*printed, *acceptance_commands()]
        if one[0] == "gcloud"
    ]
    commands = of_one_form([*scripted, *build_commands(), *documented_commands()])
    listed = tmp_path / "commands.json"
    listed.write_text(
        json.dumps([{"command_string": command} for command in [*commands, "gcloud run deploy x --no-such-flag"]])
    )

    done = subprocess.run(
        [gcloud, "meta", "lint-gcloud-commands", f"--commands-file={listed}"],
        env={"CLOUDSDK_CONFIG": str(tmp_path), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip

    judged = json.loads(done.stdout)
    refused = {one["command_string"]: one["error_message"] for one in judged if not one["success"]}
    assert len(judged) == len(commands) + 1 > 50
    assert any(command.startswith("gcloud logging read") for command in commands)
    assert refused.keys() == {"gcloud run deploy x --no-such-flag"}, refused


def test_bq_knows_every_flag(printed: list[list[str]]) -> None:
    bq = shutil.which("bq") or skip_or_fail("bq is not installed")
    commands = [one for one in printed if one[0] == "bq"]
    of_all = told_by([bq, "--help"])

    for verb in ("mk", "query", "rm"):
        flags = {flag for one in commands if verb in one for flag in flags_of(one)}
        told = of_all + told_by([bq, "help", verb])

        assert flags != set()
        assert {flag for flag in flags if not re.search(rf"--(\[no\])?{flag}\b", told)} == set()


def told_by(command: list[str]) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_the_scripts_pass_shellcheck() -> None:
    checked = subprocess.run(
        [program("shellcheck"), "--external-sources", "--source-path", ROOT, *DEPLOY.glob("*.sh")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert checked.returncode == 0, checked.stdout


def test_cloud_build_takes_the_builds() -> None:
    checked = subprocess.run(
        [program("check-jsonschema"), "--builtin-schema", "vendor.cloudbuild", *BUILDS],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("file", BUILDS, ids=lambda file: file.name)
def test_every_substitution_is_explained(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    comment = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))

    used = set(re.findall(r"(?<!\$)\$\{?([A-Z_][A-Z0-9_]*)", text)) - OWN_SUBSTITUTIONS

    assert used == set(re.findall(r"\b_[A-Z_]+\b", comment))


def test_a_build_goes_from_the_tests_to_the_traffic_and_never_past_a_failure() -> None:
    text = BUILDS[0].read_text(encoding="utf-8")

    steps = re.findall(r"^  - id: (\S+)$", text, re.MULTILINE)

    assert [step for step in steps if step != "revision"] == [
        "test", "base", "build-worker", "build-coordinator", "push-worker", "push-coordinator", "schema", "worker", "coordinator",
        "smoke", "traffic",
    ]  # fmt: skip
    assert "waitFor" not in text  # steps run in their order
    assert "allowFailure" not in text
    for script in re.findall(r"args: \[-(\w+), ", text) + re.findall(r"args:\n      - -(\w+)\n", text):
        assert "e" in script


def test_a_built_image_carries_its_revision_and_is_the_one_deployed() -> None:
    text = BUILDS[0].read_text(encoding="utf-8")

    for service in ("worker", "coordinator"):
        image = f"$_REGION-docker.pkg.dev/$PROJECT_ID/$_REPOSITORY/tipoff-{service}:$COMMIT_SHA"
        assert f"--build-arg=REVISION=$COMMIT_SHA --tag={image} .\n" in text
        assert f"docker push {image}\n" in text
        assert (
            f"docker inspect --format='{{{{index .RepoDigests 0}}}}' {image} > /workspace/tipoff-{service}.image"
            in text
        )
        assert f'gcloud run deploy tipoff-{service} --image="$$(cat /workspace/tipoff-{service}.image)" ' in text


@pytest.mark.parametrize("file", BUILDS, ids=lambda file: file.name)
def test_both_images_are_built_on_one_base_by_its_digest(file: Path, tmp_path: Path) -> None:
    """The steps' own scripts, run by a docker that notes what it is asked and knows one digest."""
    scripts = re.findall(r"      - \|\n((?:        .*\n)+)", file.read_text(encoding="utf-8"))
    wanted = [script.replace("$$", "$") for script in scripts if "base.image" in script]
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n[ "$1" != inspect ] || echo python@sha256:0123\n')
    docker.chmod(0o755)

    for script in wanted:
        subprocess.run(
            ["bash", "-ec", script.replace("/workspace", str(tmp_path))],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            cwd=ROOT,
            check=True,
        )

    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[0] == "pull python:3.11-slim-bookworm"
    built = [flags_of(line.split()) for line in asked if line.startswith("build ")]
    assert [flags["file"] for flags in built] == ["Dockerfile.worker", "Dockerfile.coordinator"]
    assert [line.count("--build-arg=BASE=python@sha256:0123 ") for line in asked if line.startswith("build ")] == [1, 1]
