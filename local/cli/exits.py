"""What the exit status of a command says."""

from __future__ import annotations

NO_SUCCESS = 1
"""A batch failed or did not end, or something that was needed did not work."""
MISTAKE = 2
"""The call or its inputs are mistaken; one line says what to mend."""
INTERRUPTED = 130
"""Ctrl-C."""
