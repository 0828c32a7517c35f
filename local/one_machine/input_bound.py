"""How much text input files may hold: apart from what reads them, so that --help answers at once."""

from __future__ import annotations

MIB = 2**20
MAX_INPUT_MB = 512
"""All files of a folder together, unpacked: forty times four real seasons with lines."""
