"""C1: under the real command of each image every line is JSON, and the service's own INFO lines are among them."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.dockerfile import command_of, copied_by
from tests.gunicorn_process import SETTINGS, Served, run_to_its_end, served

pytestmark = pytest.mark.xdist_group("logs_under_gunicorn")  # its tests share two services' lines

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
PUSH_ROUTES = {"coordinator": "/complete", "worker": "/predict"}


@pytest.fixture(scope="module", params=sorted(PUSH_ROUTES))
def service(request: pytest.FixtureRequest) -> str:
    """Name each of the two services."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def past(service: str, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """Run a service through a health check, an unknown path and a poison push, and stop it."""
    dockerfile = f"Dockerfile.{service}"
    folder = copied_by(dockerfile, tmp_path_factory.mktemp(service))
    with served(command_of(dockerfile), at=folder, environ=SETTINGS | {"K_REVISION": "r-00042"}) as running:
        assert running.get("/health", traceparent=TRACEPARENT).status_code == 200
        assert running.get("/nowhere").status_code == 404
        assert running.post(PUSH_ROUTES[service], b"not json").status_code == 204
    return running


def labels(line: dict[str, Any]) -> dict[str, Any]:
    """Return the labels of a line."""
    found: dict[str, Any] = line["logging.googleapis.com/labels"]
    return found


def access(past: Served, path: str) -> dict[str, Any]:
    """Return the one access line of a path."""
    (line,) = [
        line
        for line in past.lines
        if labels(line)["python_logger"] == "gunicorn.access" and line["httpRequest"]["requestUrl"] == path
    ]
    return line


def test_c1_every_line_is_one_json_object_from_the_first_to_the_last(past: Served) -> None:
    assert past.code == 0
    assert past.stderr == ""
    assert past.lines[0]["message"] == "image starting"
    assert past.lines[-1]["message"] == "Shutting down: Master"
    assert all(line["severity"] and line["message"] and line["time"] for line in past.lines)


def test_c1_the_service_itself_is_heard_at_info(service: str, past: Served) -> None:
    own = [line for line in past.lines if labels(line)["python_logger"].startswith(f"{service}.")]

    assert any(line["severity"] == "INFO" for line in own)
    assert all(labels(line)["service"] == service for line in own)


def test_c1_each_line_names_its_revision(past: Served) -> None:
    assert {labels(line)["revision"] for line in past.lines} == {"r-00042"}


def test_c1_an_access_line_has_severity_status_and_trace(past: Served) -> None:
    health = access(past, "/health")

    assert (health["severity"], health["httpRequest"]["status"]) == ("INFO", 200)
    assert health["logging.googleapis.com/trace"] == f"projects/demo-project/traces/{TRACE}"
    assert access(past, "/nowhere")["severity"] == "WARNING"


def test_c1_a_poison_push_is_one_error_line_with_its_reason(service: str, past: Served) -> None:
    (line,) = [line for line in past.lines if line["severity"] == "ERROR"]

    assert labels(line)["python_logger"].startswith(f"{service}.")
    assert "not JSON" in line["reason"]


def test_c1_a_broken_environment_is_one_json_line_with_all_its_problems(service: str, tmp_path: Path) -> None:
    dockerfile = f"Dockerfile.{service}"
    broken = SETTINGS | {"TIPOFF_PROJECT": "", "TIPOFF_DATASET": "a.b", "TIPOFF_LOG_LEVL": "INFO"}

    ended = run_to_its_end(command_of(dockerfile), at=copied_by(dockerfile, tmp_path), environ=broken)

    assert ended.code not in (0, None)
    (told,) = [line for line in ended.lines if "TIPOFF_" in line["message"]]
    assert told["severity"] == "ERROR"
    for problem in ("TIPOFF_PROJECT: missing", "TIPOFF_DATASET: 'a.b'", "TIPOFF_LOG_LEVL: no such setting"):
        assert problem in told["message"]
    assert "Traceback" not in ended.stderr


# --- the server's configuration alone, under an application that misbehaves ------------------------------------


def misbehaving(folder: Path, source: str) -> list[str]:
    """Write an application beside the shared package; return the image's command for it."""
    copied_by("Dockerfile.worker", folder)
    (folder / "misbehaving.py").write_text(textwrap.dedent(source))
    return [*command_of("Dockerfile.worker")[:-1], "misbehaving:create_app()"]


def test_c1_a_module_that_is_not_in_the_image_is_one_json_line(tmp_path: Path) -> None:
    command = misbehaving(tmp_path, "import module_that_was_not_copied")

    ended = run_to_its_end(command, at=tmp_path, environ={})

    assert ended.code not in (0, None)
    (told,) = [line for line in ended.lines if "Traceback" in line["message"]]
    assert "ModuleNotFoundError: No module named 'module_that_was_not_copied'" in told["message"]
    assert "Traceback" not in ended.stderr


def test_c1_logging_at_import_and_basic_config_do_not_darken_anything(tmp_path: Path) -> None:
    command = misbehaving(
        tmp_path,
        """
        import logging
        logging.info("at import")
        logging.basicConfig(level=logging.ERROR)
        from flask import Flask

        def create_app():
            app = Flask("misbehaving")

            @app.get("/health")
            def health():
                logging.getLogger("misbehaving").info("request handled")
                return "alive"

            return app
        """,
    )

    with served(command, at=tmp_path, environ={}) as running:
        assert running.get("/health").text == "alive"

    assert {"at import", "request handled", "GET /health 200"} <= {line["message"] for line in running.lines}


def test_c1_whatever_nobody_caught_is_json(tmp_path: Path) -> None:
    command = misbehaving(
        tmp_path,
        """
        import threading
        import warnings
        from flask import Flask

        def create_app():
            app = Flask("misbehaving")

            @app.get("/health")
            def health():
                warnings.warn("careful")
                thread = threading.Thread(target=lambda: 1 / 0)
                thread.start()
                thread.join()
                raise KeyError("points")

            return app
        """,
    )

    with served(command, at=tmp_path, environ={}) as running:
        assert running.get("/health").status_code == 500

    told = {line["severity"]: line["message"] for line in running.lines if "\n" in line["message"]}
    assert "careful" in told["WARNING"]
    assert "ZeroDivisionError" in told["CRITICAL"]
    assert "KeyError: 'points'" in told["ERROR"]
    assert running.stderr == ""
