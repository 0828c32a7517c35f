"""How gcloud is called, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from shared.errors import Unavailable

_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Gcloud:
    """The program at a path."""

    path: str

    @classmethod
    def found(cls, search_path: str | None) -> Gcloud | None:
        """The one in these folders, or in those of PATH; None where there is none."""
        path = shutil.which("gcloud", path=search_path)
        return cls(path) if path is not None else None

    def called(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Call it to its end, whatever that is. Raises `Unavailable` where it does not run or end."""
        try:
            return subprocess.run(  # noqa: S603 - gcloud's own path, and arguments that no shell reads
                [self.path, *words], capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"gcloud {' '.join(words[:2])} did not answer within {_SECONDS} s") from error
        except OSError as error:
            raise Unavailable(f"gcloud does not run: {error}") from error


def error_of(said: str) -> str:
    """The line that tells what went wrong, of all that gcloud says on standard error; warnings come first."""
    lines = said.strip().splitlines() or ["nothing"]
    return next((line for line in lines if line.startswith("ERROR")), lines[-1])
