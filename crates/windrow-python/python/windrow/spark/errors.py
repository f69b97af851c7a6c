"""The package's errors, with the engine's codes (docs/reference/errors.md)."""

from __future__ import annotations

import re
import traceback

from .. import _errors

InvalidError = _errors.InvalidError

# How an error of ours ends a traceback.
_TOLD = re.compile(r"windrow\._errors\.(InvalidError|MachineError|FencedError|DataError): \[(E-[A-Z-]+)\] (.*) \(hint: (.*)\)")


def _harmless(text: str) -> str:
    """Names of files and columns come from strangers: nothing in them may steer the terminal that tells of them."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def version() -> str:
    from .. import _windrow

    return _windrow.__version__


def invalid(code: str, message: str, hint: str) -> Exception:
    return _errors.InvalidError(_harmless(message), code, hint)


def environment(code: str, message: str, hint: str) -> Exception:
    return _errors.MachineError(_harmless(message), code, hint)


def fenced(code: str, message: str, hint: str) -> Exception:
    return _errors.FencedError(_harmless(message), code, hint)


def data(code: str, message: str, hint: str) -> Exception:
    return _errors.DataError(_harmless(message), code, hint)


def internal(message: str) -> Exception:
    return _errors.DataError(_harmless(message), "E-INTERNAL", "report it; nothing of it was committed")


def of_executor(error: BaseException) -> BaseException:
    """The error of ours that ended a task, where Spark's tells of one."""
    found = _TOLD.search(str(error))
    if found is None or isinstance(error, _errors.Error):
        return error
    kind, told, message, hint = found.groups()
    return getattr(_errors, kind)(message, told, hint)


def of_spark(error: BaseException) -> BaseException:
    """What Spark, or something below it, said: its first line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    message = "%s: %s" % (type(error).__name__, lines[0] if lines else "it says no more")
    return _errors.DataError(_harmless(message), "E-SPARK", "its own log says more; mend it, and the same line goes on from the last commit")


def story(error: BaseException) -> str:
    """The traceback, with nothing in it that steers a terminal."""
    lines = "".join(traceback.format_exception(type(error), error, error.__traceback__)).splitlines()
    return "\n".join(map(_harmless, lines))


def code(error: BaseException) -> str:
    """The stable code of an error, or how the run was ended."""
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        return "interrupted"
    return getattr(error, "code", "E-SPARK")


def exit_code(error: BaseException) -> int:
    """The exit code of a command that ends with this error."""
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        return 130
    codes = {"InvalidError": 2, "MachineError": 3, "FencedError": 5}
    return codes.get(type(error).__name__, 1)
