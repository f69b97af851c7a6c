"""Errors that say what to do: one class for each thing that their reader may have to do about them."""

from __future__ import annotations


class Error(Exception):
    """Anything that goes wrong here. Its kind is one of the four classes below.

    ``code`` is stable and documented in docs/reference/errors.md; ``hint`` says what to do.
    """

    def __init__(self, message: str, code: str, hint: str = "") -> None:
        super().__init__(message, code, hint)
        self.message = message
        self.code = code
        self.hint = hint

    def __str__(self) -> str:
        said = f"[{self.code}] {self.message}"
        return f"{said} (hint: {self.hint})" if self.hint else said


class InvalidError(Error, ValueError):
    """The call or a setting is wrong: mend it. (The engine ends with exit code 2.)"""


class MachineError(Error):
    """The machine or the cluster refuses: disk, permission, a version that does not fit. Try again once that is mended. (Exit codes 3 and 4.)"""


class FencedError(Error):
    """Somebody else owns what is to be written: find out who. (Exit code 5.)"""


class DataError(Error):
    """Bytes are not what was written: take an undamaged copy. (Exit code 1.)"""
