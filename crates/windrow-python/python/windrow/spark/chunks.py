"""PREPARE, on the executors: rows as Spark hands them out become chunks: prepared pages and rejects of one source, in order.

```
task: lines or messages of a partition ── records ── Preparer ──> chunk: (source, from, to], prepared bytes, rejects
```

A chunk is a slice of one source, about a megabyte. Rows that a commit holds already are passed over here: positions travel with the data,
so that a batch that Spark repeats, in whatever cut, gives what is missing and nothing twice.
"""

from __future__ import annotations

import gzip
import json
import os
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from . import errors, times
from .records import COLUMNS, BadHeader, CsvRecords, JsonRecords, Record

CHUNK_ROWS = 4096
CHUNK_BYTES = 1 << 20
HEAD = 4096

_KINDS = {"int": pa.int32(), "long": pa.int64(), "boolean": pa.bool_(), "string": pa.string(), "binary": pa.binary()}


def arrow_of(schema: str) -> pa.Schema:
    """Columns that `mapInArrow` is told, as the Arrow that it gets."""
    columns = (column.split(" ") for column in schema.split(", "))
    return pa.schema([(name.strip("`"), _KINDS[kind]) for name, kind in columns])


SCHEMA = (
    "part int, source string, place string, `from` long, `to` long, anew boolean, n_rows long, n_pages long, "
    "reasons string, prepared binary, rejects binary"
)
_ARROW = arrow_of(SCHEMA)
REJECTS = pa.schema([("offset", pa.int64()), ("reason", pa.string()), ("raw", pa.binary())])


class Known(NamedTuple):
    """A source that was read before: up to where, and how it began."""

    offset: int
    head_len: int
    head_hash: int


class Form(NamedTuple):
    """How rows are written."""

    kind: str  # csv, json, parquet, kafka
    delimiter: str
    columns: Dict[str, str]
    longest: int


def path_of(uri: str) -> str:
    """A file's name as the engine has it: local ones by their path."""
    parts = urlsplit(uri)
    return unquote(parts.path) if parts.scheme in ("", "file") else uri


def head_of(path: str) -> Optional[bytes]:
    """The first bytes of a file, unpacked; none where it is not on this machine."""
    if not os.path.isfile(path):
        return None
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
        return file.read(HEAD)


class Chunker:
    """Collects the records of one source, and makes chunks of them."""

    def __init__(self, part: int, source: str, place: str, preparer, floor: int, anew: bool) -> None:
        self._part, self.source, self._place, self._preparer = part, source, place, preparer
        self._floor, self._anew = floor, anew
        self._records: List[Record] = []
        self._bytes = 0

    def add(self, record: Record) -> Iterator[pa.RecordBatch]:
        if record.offset < self._floor:
            return
        self._records.append(record)
        self._bytes += len(record.raw)
        if len(self._records) >= CHUNK_ROWS or self._bytes >= CHUNK_BYTES:
            yield from self.cut()

    def cut(self) -> Iterator[pa.RecordBatch]:
        """What was collected, as a chunk."""
        records, self._records, self._bytes = self._records, [], 0
        if records:
            yield self._chunk(records)

    def _chunk(self, records: List[Record]) -> pa.RecordBatch:
        rows = [record for record in records if record.values is not None]
        prepared = self._preparer.prepare(_batch(rows))
        raw = {record.offset: record.raw for record in rows}
        table = pa.record_batch(prepared.rejects())
        offsets = [int(str(record_id).rpartition(":")[2]) for record_id in table.column("record_id")]
        rejects = [(record.offset, record.reason, record.raw) for record in records if record.values is None]
        rejects += [(offset, str(reason), raw[offset]) for offset, reason in zip(offsets, table.column("reason"))]
        rejects.sort()
        reasons: Dict[str, int] = {}
        for _, reason, _ in rejects:
            reasons[reason] = reasons.get(reason, 0) + 1
        last = records[-1]
        # Behind a message stands the next one; behind a record of a file its line end, which is no record.
        to = last.offset + (len(last.raw) if self._place.startswith("file:") else 1)
        row = [self._part, self.source, self._place, records[0].offset, to, self._anew, len(records), len(records) - len(rejects)]
        row += [json.dumps(reasons, sort_keys=True), prepared.to_bytes(), _rejects(rejects)]
        return pa.RecordBatch.from_arrays([pa.array([value], field.type) for value, field in zip(row, _ARROW)], schema=_ARROW)


def _batch(rows: List[Record]) -> pa.RecordBatch:
    """Rows as the native module takes them. The ordinal of their source is given by the driver, which knows all of them."""
    columns = [pa.array([0] * len(rows), pa.int32()), pa.array([row.offset for row in rows], pa.int64())]
    columns += [pa.array([row.values[at] or b"" for row in rows], pa.binary()) for at in range(len(COLUMNS))]
    return pa.RecordBatch.from_arrays(columns, names=["source", "offset", *COLUMNS])


def _rejects(rejects: List[Tuple[int, str, bytes]]) -> Optional[bytes]:
    if not rejects:
        return None
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rejects), REJECTS)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, REJECTS) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=REJECTS))
    return sink.getvalue().to_pybytes()


def preparer(settings: str):
    """A preparer; made on the executor, as it holds native memory."""
    from windrow import _windrow

    return _windrow.Preparer(settings)


def _part() -> int:
    from pyspark import TaskContext

    context = TaskContext.get()
    return 0 if context is None else context.partitionId()


def prepare_messages(form: Form, settings: str, known: Dict[str, Known]):
    """For `mapInArrow`: columns topic, partition, offset, value."""

    def prepare(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        part, made, reader, chunker = _part(), preparer(settings), JsonRecords(form.columns, form.longest), None
        for batch in batches:
            for topic, partition, offset, value in zip(*(batch.column(at).to_pylist() for at in range(4))):
                source = "kafka:%s/%d" % (topic, partition)
                if chunker is None or chunker.source != source:
                    yield from chunker.cut() if chunker else ()
                    floor = known[source].offset if source in known else 0
                    chunker = Chunker(part, source, "kafka:%s/%010d" % (topic, partition), made, floor, False)
                yield from chunker.add(reader.message(offset, value))
        yield from chunker.cut() if chunker else ()

    return prepare


def prepare_files(form: Form, settings: str, known: Dict[str, Known]):
    """For `mapInArrow`: a file's URI, and its lines, or its columns."""

    def prepare(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        part, made, file = _part(), preparer(settings), None
        for batch in batches:
            uris = batch.column(0).to_pylist()
            start = 0
            while start < len(uris):
                end = start
                while end < len(uris) and uris[end] == uris[start]:
                    end += 1
                if file is None or file.uri != uris[start]:
                    yield from file.end() if file else ()
                    file = _File(part, uris[start], form, made, known)
                yield from file.take(batch.slice(start, end - start))
                start = end
        yield from file.end() if file else ()

    return prepare


class _File:
    """One file, read in order by one task."""

    def __init__(self, part: int, uri: str, form: Form, made, known: Dict[str, Known]) -> None:
        from windrow import _windrow

        self.uri, self._form, self._path = uri, form, path_of(uri)
        head = head_of(self._path)
        was, floor, anew = known.get(self._path), 0, False
        if was is not None:
            anew = head is not None and _windrow.hash64(head[: was.head_len]) != was.head_hash
            floor = 0 if anew else was.offset
        place = ("row:" if form.kind == "parquet" else "file:") + self._path
        self._chunker = Chunker(part, self._path, place, made, floor, anew)
        self._reader = CsvRecords(form.delimiter, form.columns, form.longest) if form.kind == "csv" else JsonRecords(form.columns, form.longest)
        # Spark passes over a byte order mark.
        self._at = 3 if head is not None and head.startswith(b"\xef\xbb\xbf") and form.kind != "parquet" else 0

    def take(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        records = self._rows(batch) if self._form.kind == "parquet" else self._reader.lines(self._lines(batch))
        yield from self._collect(records)

    def end(self) -> Iterator[pa.RecordBatch]:
        yield from self._collect(self._reader.end())
        yield from self._chunker.cut()

    def _collect(self, records: Iterable[Record]) -> Iterator[pa.RecordBatch]:
        try:
            for record in records:
                yield from self._chunker.add(record)
        except BadHeader as error:
            message = "%s: %s" % (self._path, error)
            raise errors.invalid("E-INPUT-COLUMNS", message, "say which column is which: columns url=landing_page,title=name") from None

    def _lines(self, batch: pa.RecordBatch) -> Iterator[Tuple[int, bytes]]:
        for line in batch.column(1).to_pylist():
            at = self._at
            self._at += len(line) + 1
            yield at, line

    def _rows(self, batch: pa.RecordBatch) -> Iterator[Record]:
        columns = [_values(batch.column(at)) for at in range(1, 1 + len(COLUMNS))]
        names = [self._form.columns.get(column, column) for column in COLUMNS]
        numbers = [pa.types.is_integer(batch.column(at).type) for at in range(1, 1 + len(COLUMNS))]
        for values in zip(*columns):
            at, self._at = self._at, self._at + 1
            yield Record(at, json_object(zip(names, values, numbers)), values, None)


def _values(column: pa.Array) -> List[Optional[bytes]]:
    """The bytes of each cell."""
    column = times.texts(column)
    return (column.cast(pa.string()) if pa.types.is_integer(column.type) else column).cast(pa.binary()).to_pylist()


# As the engine escapes texts: what must be, and no more.
_ESCAPES = {**{code: "\\u%04x" % code for code in range(0x20)}, 10: "\\n", 13: "\\r", 9: "\\t", 34: '\\"', 92: "\\\\"}


def json_object(cells: Iterable[Tuple[str, Optional[bytes], bool]]) -> bytes:
    """A row of Parquet as the object that it is for the engine, byte by byte: its rejects keep that, and an audit compares it. Cells are
    names, values, and whether those are numbers; two of our columns may be one of theirs."""
    found = {name: (value, is_number) for name, value, is_number in cells if value is not None}
    return b"{%s}" % b", ".join(b"%s: %s" % (_quoted(name.encode()), value if is_number else _quoted(value)) for name, (value, is_number) in sorted(found.items()))


def _quoted(text: bytes) -> bytes:
    return b'"%s"' % text.decode("utf-8", "surrogateescape").translate(_ESCAPES).encode("utf-8", "surrogateescape")
