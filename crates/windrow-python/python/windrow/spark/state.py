"""The state folder `OUT/.windrow`, as the engine keeps it: locks, manifest, snapshots, the word about the last run.

The same files in the same formats (docs/reference/state.md), so that every verb works on what Spark wrote, and the engine goes on where
Spark stopped and the other way round. Renaming the manifest is the commit, here as there.
"""

from __future__ import annotations

import copy
import fcntl
import json
import os
import secrets
import socket
import struct
import sys
import time
import zlib
from typing import List, NamedTuple, Optional

from . import errors, files
from .edits import Edits

FORMAT = 6
SNAPSHOTS = 3
OPEN_FILES = 2000
FAMILIES = ("pages", "rejects", "lineage")
REASONS = (
    "empty_page invalid_utf8 bad_time column_count bad_quote too_long repeated_header bad_json wrong_type tombstone missing_field "
    "field_too_long other_language other_character duplicate"
).split()

_HEAD = b'{"windrow":"manifest","format":'
_MAGIC = b"WINDROWM"
_STOPS = 100


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def file_name(epoch: int, sequence: int) -> str:
    return "part-%08d-%03d.zstd.parquet" % (epoch, sequence)


def hidden_name(name: str) -> str:
    return ".%s.tmp" % name


def epoch_of(name: str) -> Optional[int]:
    """The epoch of a file name of ours, hidden or in view."""
    if name.startswith(".") and name.endswith(".tmp"):
        name = name[1:-4]
    parts = name[len("part-") : -len(".zstd.parquet")].split("-")
    if not name.startswith("part-") or not name.endswith(".zstd.parquet") or len(parts) != 2:
        return None
    is_ours = all(part.isdigit() and part.isascii() for part in parts) and len(parts[0]) >= 8 and len(parts[1]) >= 3
    return int(parts[0]) if is_ours else None


class PublishedFile(NamedTuple):
    """A file as the manifest lists it."""

    family: str
    name: str
    epoch: int
    rows: int
    bytes: int
    crc32: int


# --- Locks -----------------------------------------------------------------------------------------------------------------------


class Lock:
    """An advisory lock; the kernel lets go of it when the process ends, however it ends."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        for left in range(8, -1, -1):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if left == 0:
                    holder = self._holder()
                    os.close(self._fd)
                    raise _held(path, holder) from None
                time.sleep(0.025)  # whoever asks for the holder shares the lock for a moment
        os.ftruncate(self._fd, 0)
        self._us = {"pid": os.getpid(), "host": host(), "since": now()}
        os.pwrite(self._fd, (json.dumps(self._us) + "\n").encode(), 0)

    def _holder(self) -> Optional[dict]:
        try:
            return json.loads(os.pread(self._fd, 4096, 0))
        except ValueError:
            return None

    def check(self) -> None:
        """Refuses to go on when the folder is another's by now."""
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            raise _moved(self._path) from None
        ours = os.fstat(self._fd)
        if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            raise _moved(self._path)
        if self._holder() != self._us:
            raise _held(self._path, self._holder())

    def close(self) -> None:
        os.close(self._fd)


def host() -> str:
    return socket.gethostname() or "localhost"


def _held(path: str, holder: Optional[dict]) -> Exception:
    who = "process %s on %s" % (holder.get("pid"), holder.get("host")) if holder else "another process"
    return errors.fenced(
        "E-LOCKED", "%s belongs to %s" % (os.path.dirname(path), who), "wait for it, or stop it; two queries need two `out` folders"
    )


def _moved(path: str) -> Exception:
    return errors.environment(
        "E-FOLDER-MOVED",
        "%s was moved, replaced or emptied while it was written to: its lock is not there any more" % os.path.dirname(path),
        "put it back and start again: what was committed is whole, and the rows since are learnt again",
    )


# --- Manifest --------------------------------------------------------------------------------------------------------------------


def encode(body: dict) -> bytes:
    rest = ('"body":%s}\n' % json.dumps(body, indent=2, ensure_ascii=False)).encode()
    return _HEAD + b'%d,"crc32":"%08x",\n' % (FORMAT, _checksum(FORMAT, rest)) + rest


def decode(data: bytes, path: str) -> dict:
    line, end, rest = data.partition(b"\n")
    try:
        head = json.loads(line.rstrip(b",") + b"}")
        found, crc = int(head["format"]), int(head["crc32"], 16)
    except (ValueError, KeyError, TypeError):
        raise damaged(path, "it does not begin like a manifest") from None
    if not end or crc != _checksum(found, rest):
        raise damaged(path, "its checksum does not fit its bytes")
    if found > FORMAT:
        message = "%s has format %d, this package reads up to %d" % (path, found, FORMAT)
        raise errors.data("E-STATE-NEWER", message, "use the windrow package of the version that wrote it, or a later one; nothing was changed")
    body = json.loads(b"{" + rest[:-2] + b"}")["body"]
    body.setdefault("max_record", 1 << 20)
    body.setdefault("clean", {"required": [], "max_length": "", "languages": []})
    return body


def _checksum(found: int, rest: bytes) -> int:
    return zlib.crc32(rest, zlib.crc32(struct.pack("<I", found)))


def damaged(path: str, why: str) -> Exception:
    return errors.data(
        "E-STATE-DAMAGED",
        "%s is damaged: %s" % (path, why),
        "restore the state folder from a copy, or start over with a new `out` folder; published Parquet is not touched",
    )


def blank(settings: dict) -> dict:
    """The manifest of a pipeline that has committed nothing."""
    return {
        "pipeline": secrets.token_hex(16),
        "version": errors.version(),
        "epoch": 0,
        "written_at": 0,
        "model": settings["model"],
        "fields": settings["fields"],
        "inputs": [],
        "columns": "",
        "max_record": 1 << 20,
        "clean": settings["clean"],
        "positions": {"sources": []},
        "counters": counters(),
        "edits": 0,
        "snapshots": [],
        "history": [],
        "files": [],
    }


def counters() -> dict:
    return {"rows": 0, "pages": 0, "rejects": {reason: 0 for reason in sorted(REASONS)}, "novel": 0}


class State:
    """The folders of a pipeline, owned by this process until it is closed."""

    def __init__(self, out: str) -> None:
        self.out = os.path.abspath(out)
        os.makedirs(self.out, exist_ok=True)
        self._locks: List[Lock] = [Lock(os.path.join(self.out, ".windrow-lock"))]
        try:
            self.folder = self._find()
            os.makedirs(os.path.join(self.folder, "snapshots"), exist_ok=True)
            self._locks.append(Lock(os.path.join(self.folder, "lock")))
            self.manifest_path = os.path.join(self.folder, "files.json")
            self.manifest = self._read()
            self._open()
            self.edits = Edits(self.folder)
        except BaseException:
            self.close()
            raise

    def _find(self) -> str:
        pointer = files.read_if_there(os.path.join(self.out, ".windrow-state"))
        return pointer.decode().rstrip("\n") if pointer else os.path.join(self.out, ".windrow")

    def _read(self) -> Optional[dict]:
        data = files.read_if_there(self.manifest_path)
        return None if data is None else decode(data, self.manifest_path)

    @property
    def epoch(self) -> int:
        return self.manifest["epoch"] if self.manifest else 0

    def close(self) -> None:
        locks, self._locks = self._locks, []
        for lock in reversed(locks):
            lock.close()

    def _open(self) -> None:
        """Finishes what was committed, drops what was not."""
        self._check_outputs()
        for family in FAMILIES:
            os.makedirs(os.path.join(self.out, family), exist_ok=True)
        if self.manifest:
            self._refuse_what_spark_cannot()
            self.show([PublishedFile(**file) for file in self.manifest["files"] if file["epoch"] == self.epoch], at_start=True)
        self.drop_leftovers()

    def _refuse_what_spark_cannot(self) -> None:
        why = None
        if self.manifest.get("commits") is not None:
            why = "it writes topics in transactions, which Spark does not have"
        elif self.manifest.get("keep"):
            why = "it carries columns along (`keep`), which this package does not"
        if why:
            message = "Spark cannot go on with the state in %s: %s" % (self.folder, why)
            raise errors.invalid("E-SPARK-STATE", message, "go on with `windrow run`, or start over with a new `out` folder")

    def _check_outputs(self) -> None:
        names = (name for family in FAMILIES for name in _names(os.path.join(self.out, family)) if not name.startswith("."))
        newest = max((epoch for epoch in map(epoch_of, names) if epoch is not None), default=0)
        if newest <= self.epoch:
            return
        if self.epoch == 0:
            message = "%s holds published files, but there is no state in %s" % (self.out, self.folder)
            raise errors.data("E-STATE-MISSING", message, "bring the state back; to start over, give a new `out` folder")
        message = "%s holds files of commit %d, the state %s is at commit %d: it was put back to an older copy"
        message %= (self.out, newest, self.folder, self.epoch)
        raise errors.data("E-STATE-OLDER", message, "move the newer files away to learn their rows again, or bring the newer state back")

    def drop_leftovers(self) -> None:
        """Drops hidden files of attempts that nobody committed. Only ours, by name."""
        for family in FAMILIES:
            folder = os.path.join(self.out, family)
            for name in _names(folder):
                is_hidden = name.startswith(".part-") and name.endswith(".tmp")
                if is_hidden and (".attempt-" in name or (epoch_of(name) or 0) > self.epoch):
                    files.remove(os.path.join(folder, name))
        named = {entry["name"] for entry in self.manifest["snapshots"]} if self.manifest else set()
        folder = os.path.join(self.folder, "snapshots")
        for name in _names(folder):
            if name.strip(".").startswith("model-") and name not in named and (name.endswith(".bin") or name.endswith(".bin.tmp")):
                files.remove(os.path.join(folder, name))

    # --- the commit

    def check(self) -> None:
        """Whether the folders, and what is committed in them, are still ours."""
        if not self._locks:
            raise errors.fenced("E-LOCKED", "%s was let go of" % self.out, "start the job again: it goes on from the last commit")
        for lock in self._locks:
            lock.check()
        there = self._read()
        there = there["epoch"] if there else 0
        if there != self.epoch:
            message = "another process of this pipeline has taken over: commit %d is there, not %d" % (there, self.epoch)
            raise errors.fenced("E-FENCED", message, "let the other one go on, or end it and start this one again")

    def seal(self, family: str, attempt: str, sequence: int, epoch: int) -> str:
        """Gives the file of the attempt that won its place among the hidden ones of the epoch."""
        folder, name = os.path.join(self.out, family), file_name(epoch, sequence)
        os.rename(os.path.join(folder, attempt), os.path.join(folder, hidden_name(name)))
        return name

    def commit(self, body: dict, published: List[PublishedFile], model: bytes, model_hash: str, order: list, watched: Optional[int] = None) -> None:
        """Files, model, positions and counts become true together, or not at all."""
        _check_counts(published, self.manifest["counters"] if self.manifest else counters(), body["counters"])
        epoch = body["epoch"]
        for family in FAMILIES:
            files.sync_dir(os.path.join(self.out, family))
        name = "model-%08d.bin" % epoch
        frame = _MAGIC + struct.pack("<IIQ", 1, zlib.crc32(model), len(model))
        files.replace(os.path.join(self.folder, "snapshots", name), frame + model)
        entry = {"epoch": epoch, "name": name, "model": model_hash, "positions": copy.deepcopy(body["positions"]), "order": order}
        entry.update(counters=copy.deepcopy(body["counters"]), edits=body["edits"])
        if not order:
            del entry["order"]
        if watched is not None:
            entry["watched"] = watched
        stale, body["snapshots"] = body["snapshots"][: 1 - SNAPSHOTS], body["snapshots"][1 - SNAPSHOTS :] + [entry]
        body["written_at"], body["version"] = now(), errors.version()
        self._add_files(body, published)
        aside = files.write_aside(self.manifest_path, encode(body))
        self.check()
        os.rename(aside, self.manifest_path)
        files.sync_dir(self.folder)
        self.manifest = body
        self.show(published, at_start=False)
        for entry in stale:
            files.remove(os.path.join(self.folder, "snapshots", entry["name"]))

    def _add_files(self, body: dict, published: List[PublishedFile]) -> None:
        """Adds the files; moves older ones to a sealed file when the list has become long."""
        if len(body["files"]) >= OPEN_FILES:
            sealed = json.dumps(body["files"]).encode()
            name = "files-%08d.json" % body["epoch"]
            os.makedirs(os.path.join(self.folder, "history"), exist_ok=True)
            files.replace(os.path.join(self.folder, "history", name), sealed)
            body["history"].append({"name": name, "files": len(body["files"]), "crc32": zlib.crc32(sealed)})
            body["files"] = []
        body["files"] += [file._asdict() for file in published]

    def show(self, published: List[PublishedFile], at_start: bool) -> None:
        """Renames sealed files into view; may be repeated."""
        for file in published:
            folder = os.path.join(self.out, file.family)
            visible = os.path.join(folder, file.name)
            try:
                os.rename(os.path.join(folder, hidden_name(file.name)), visible)
            except FileNotFoundError:
                # A start may take it that somebody took a published file away; a commit may not.
                if not at_start and not os.path.exists(visible):
                    message = "%s was taken away or replaced while it was written" % visible
                    raise errors.data("E-OUTPUT-GONE", message, "its rows are committed and in no file: start over with a new `out` folder") from None
        for family in {file.family for file in published}:
            files.sync_dir(os.path.join(self.out, family))

    def model(self, hash_of) -> Optional[bytes]:
        """The model at the last commit, checked; none when nothing was committed."""
        if self.epoch == 0:
            return None
        entry = self.manifest["snapshots"][-1]
        path = os.path.join(self.folder, "snapshots", entry["name"])
        data = files.read_if_there(path)
        frame, model = (data or b"")[:24], (data or b"")[24:]
        if len(frame) < 24 or frame[:8] != _MAGIC or struct.unpack("<IIQ", frame[8:]) != (1, zlib.crc32(model), len(model)):
            raise damaged(path, "it is gone" if data is None else "its checksum does not fit its bytes")
        if hash_of(model) != entry["model"]:
            raise damaged(path, "it is not the snapshot that was committed")
        return model


def _check_counts(published: List[PublishedFile], before: dict, counted: dict) -> None:
    rows = {family: sum(file.rows for file in published if file.family == family) for family in FAMILIES}
    rejects = [sum(each["rejects"].values()) for each in (before, counted)]
    fits = (
        counted["rows"] == counted["pages"] + rejects[1]
        and counted["pages"] == before["pages"] + rows["pages"]
        and rejects[1] == rejects[0] + rows["rejects"]
    )
    if not fits:
        message = "%s were counted since %s, and %s written: this is a bug" % (counted, before, rows)
        raise errors.internal(message)


def _names(folder: str) -> List[str]:
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


# --- The word about the last run -------------------------------------------------------------------------------------------------


class Life:
    """`last.json`: when the run began, its command, and how it ended. For people; nothing depends on it."""

    def __init__(self, state: State) -> None:
        self._path = os.path.join(state.folder, "last.json")
        self._life = {
            "schema": "windrow.life/1",
            "pid": os.getpid(),
            "host": host(),
            "began": now(),
            "command": [sys.executable] + sys.argv,
            "folder": os.getcwd(),
            "end": None,
            "stops": self._stops(state),
        }
        self._write()

    def _stops(self, state: State) -> list:
        try:
            last = json.loads(files.read_if_there(self._path) or b"")
            end = last.get("end")
            began = now()
            written = state.manifest["written_at"] if state.manifest else last["began"]
            start, reason = (end["at"], end["reason"]) if end else (max(written, last["began"]), "killed")
            return (last.get("stops", []) + [{"from": start, "to": max(began, start), "reason": reason}])[-_STOPS:]
        except (ValueError, KeyError, TypeError):
            return []

    def end(self, error: Optional[BaseException]) -> None:
        code = errors.code(error) if error else "stopped"
        exit_code = errors.exit_code(error) if error else 0
        is_told = error is not None and code != "interrupted"
        message = getattr(error, "message", str(error).split("\n", 1)[0]) if is_told else None
        self._life["end"] = {"at": now(), "reason": code, "message": message, "hint": getattr(error, "hint", None), "exit_code": exit_code}
        self._write()

    def _write(self) -> None:
        data = json.dumps(self._life, indent=2).encode()
        files.replace(self._path, data.ljust(-(-len(data) // 4096) * 4096))
