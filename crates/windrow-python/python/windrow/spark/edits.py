"""Edits: what users do to the model, from the state's inbox over its log into the order, as the engine takes them.

They are taken between batches: into the log first, durably, then into the model; the commit of the batch counts them. A log that holds more than the
last commit counts was written by a job that died: its edits come first then.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import List

from .. import _windrow
from . import errors, files

_REFUSED_KEPT = 100


class Edits:
    """The log of a state, and the inbox before it."""

    def __init__(self, folder: str) -> None:
        self._log, self._inbox = os.path.join(folder, "edits.jsonl"), os.path.join(folder, "edits")
        os.makedirs(self._inbox, exist_ok=True)

    def logged(self) -> List[dict]:
        """All that were ever taken. A last line without line end was torn and never applied: it is cut off."""
        data = files.read_if_there(self._log) or b""
        lines = data.split(b"\n")
        if lines[-1]:
            files.replace(self._log, data[: len(data) - len(lines[-1])])
        return [self._decode(line, at) for at, line in enumerate(lines[:-1])]

    def _decode(self, line: bytes, at: int) -> dict:
        if line[:8] != b"%08x" % zlib.crc32(line[9:]) or line[8:9] != b" ":
            message = "%s is damaged: line %d is not what was written" % (self._log, at + 1)
            raise errors.data("E-STATE-DAMAGED", message, "restore the file from a copy")
        return json.loads(line[9:])

    def take(self, position: int, committed: int) -> List[dict]:
        """The edits that come next: those behind the last commit, and then those of the inbox, which go to the log first."""
        logged = self.logged()
        pending, known = logged[committed:], {edit["request"] for edit in logged}
        if any(edit["position"] != position for edit in pending):
            message = "%s holds edits at positions behind the last commit" % self._log
            raise errors.invalid("E-SPARK-STATE", message, "let `windrow run` take them, then start this job again")
        taken = []
        for name in sorted(os.listdir(self._inbox)):
            request = name[: -len(".json")]
            if not name.endswith(".json") or name.startswith("."):
                continue
            if request in known:
                files.remove(os.path.join(self._inbox, name))
                continue
            taken += self._read(request, position)
        self._append(taken)
        for edit in taken:
            files.remove(os.path.join(self._inbox, edit["request"] + ".json"))
        return pending + taken

    def _read(self, request: str, position: int) -> List[dict]:
        path = os.path.join(self._inbox, request + ".json")
        data = files.read_if_there(path) or b""
        try:
            wrong = _windrow.Model.wrong_edit(data.decode())
            if wrong:
                raise ValueError(wrong)
            return [{"request": request, "position": position, **json.loads(data)}]
        except ValueError as error:
            self.refuse(request, data.decode("utf-8", "replace"), "it cannot be read: %s" % error)
            files.remove(path)
            return []

    def _append(self, edits: List[dict]) -> None:
        if not edits:
            return
        texts = [json.dumps(edit, ensure_ascii=False).encode() for edit in edits]
        is_new = not os.path.exists(self._log)
        with open(self._log, "ab") as log:
            log.write(b"".join(b"%08x %s\n" % (zlib.crc32(text), text) for text in texts))
            log.flush()
            os.fsync(log.fileno())
        if is_new:
            files.sync_dir(os.path.dirname(self._log))

    def refuse(self, request: str, asked: str, reason: str) -> None:
        """Leaves word for whoever asked."""
        word = {"request": request, "asked": asked[:1000], "reason": reason}
        files.replace(os.path.join(self._inbox, request + ".refused"), json.dumps(word).encode())
        names = sorted(name for name in os.listdir(self._inbox) if name.endswith(".refused"))
        for name in names[: max(0, len(names) - _REFUSED_KEPT)]:
            files.remove(os.path.join(self._inbox, name))
