"""DELIVER, on the executors: decisions come back to the chunks that they are about, and both become Parquet that nobody sees yet.

An attempt writes hidden files under a name of its own, so that a task that is tried again, or twice at once, harms nobody; the driver
gives the files of those attempts that Spark took a place in the commit. Columns, types and settings are those of the engine
(docs/reference/output.md).
"""

from __future__ import annotations

import os
import uuid
import zlib
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from . import errors
from .chunks import arrow_of

SCHEMA = "part int, family string, attempt string, rows long, bytes long, crc32 long"
_ARROW = arrow_of(SCHEMA)


def _not_null(*fields: Tuple[str, pa.DataType]) -> List[pa.Field]:
    return [pa.field(name, kind, nullable=False) for name, kind in fields]


_LABEL = pa.dictionary(pa.int32(), pa.string())
PAGES = pa.schema(
    _not_null(
        ("record_id", pa.string()),
        ("cluster", pa.int32()),
        ("slot", pa.int32()),
        ("micro_cluster", pa.int64()),
        ("novel", pa.bool_()),
        ("score", pa.float64()),
        ("label", _LABEL),
    )
    + [pa.field("creation_time", pa.timestamp("us", "UTC"))]
    + _not_null(*((name, pa.string()) for name in ("id", "url", "title", "keywords", "description", "domain")))
)
REJECTS = pa.schema(_not_null(("record_id", pa.string()), ("reason", pa.string()), ("raw", pa.binary()), ("source", pa.string())))
LINEAGE = pa.schema(
    _not_null(("position", pa.int64()), ("epoch", pa.int64()), ("event", pa.string()), ("cluster", pa.int32()))
    + [
        pa.field("slot", pa.int32()),
        pa.field("micro_cluster", pa.int64()),
        pa.field("from_cluster", pa.int32()),
        pa.field("into_micro_cluster", pa.int64()),
        pa.field("into_cluster", pa.int32()),
        pa.field("label", pa.string()),
        pa.field("pinned", pa.bool_()),
        pa.field("pages", pa.int64()),
        pa.field("measure", pa.string()),
        pa.field("above", pa.bool_()),
        pa.field("value", pa.float64()),
        pa.field("usual_from", pa.float64()),
        pa.field("usual_to", pa.float64()),
        pa.field("windows", pa.int32()),
        pa.field("before", pa.int32()),
        pa.field("odds", pa.float64()),
        pa.field("since", pa.int64()),
        pa.field("why", pa.string()),
    ]
    + [pa.field(name, pa.float64()) for name in ("likeness", "likeness_before", "distance", "weight", "threshold")]
    + [pa.field(name, pa.string()) for name in ("words_gone", "words_came")]
)
_SCHEMAS = {"pages": PAGES, "rejects": REJECTS, "lineage": LINEAGE}
_DICTIONARY = ("cluster", "slot", "micro_cluster", "label", "domain", "reason", "source", "event", "why")
_ROW_GROUP_ROWS = 131_072


class Decided(NamedTuple):
    """What the driver decided of a chunk: its source's ordinal, and one decision a page, with what proves that they came whole."""

    ordinal: int
    n_pages: int
    crc32: int
    decisions: bytes


class Target(NamedTuple):
    """Where the files of an epoch go."""

    out: str
    pipeline: str
    epoch: int
    version: str


class ParquetFile:
    """A hidden file of one attempt."""

    def __init__(self, target: Target, family: str, part: int) -> None:
        self._family, self._part, self.rows = family, part, 0
        self.name = ".part-%08d-%03d.attempt-%s.tmp" % (target.epoch, part, uuid.uuid4().hex)
        self._tally = _Tally(os.path.join(target.out, family, self.name))
        about = {"version": target.version, "schema": "1", "family": family, "pipeline": target.pipeline, "epoch": str(target.epoch)}
        schema = _SCHEMAS[family]
        self._schema = schema.with_metadata({"windrow." + key: value for key, value in about.items()})
        self._writer = pq.ParquetWriter(
            self._tally,
            self._schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=[name for name in schema.names if name in _DICTIONARY],
            write_statistics=[field.name for field in schema if not _is_text(field.type)],
            store_schema=False,
            version="2.6",
        )

    def write(self, table: pa.Table) -> None:
        self.rows += table.num_rows
        self._writer.write_table(table.cast(self._schema), row_group_size=_ROW_GROUP_ROWS)

    def close(self) -> dict:
        self._writer.close()
        self._tally.finish()
        row = {"part": self._part, "family": self._family, "attempt": self.name, "rows": self.rows}
        return dict(row, bytes=self._tally.bytes, crc32=self._tally.crc32)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_dictionary(kind)


class _Tally:
    """A file that counts and checksums what is written to it."""

    closed = False

    def __init__(self, path: str) -> None:
        self._file = open(path, "xb")
        self.bytes, self.crc32 = 0, 0

    def write(self, data) -> int:
        self._file.write(data)
        self.crc32 = zlib.crc32(data, self.crc32)
        self.bytes += len(data)
        return len(data)

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """The Parquet writer closes nothing: `finish` does, durably."""

    def finish(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def record_ids(ordinal: int, ids) -> pa.Array:
    """Record ids of a chunk with the ordinal that its source has, in place of the one that it was prepared under."""
    behind = [text.rpartition(":")[2] for text in ids]
    return pa.array(["%d:%s" % (ordinal, offset) for offset in behind], pa.string())


def decisions_of(decided: Decided) -> pa.Table:
    """The decisions, if they are those that the driver made."""
    if zlib.crc32(decided.decisions) != decided.crc32:
        raise errors.internal("the decisions of a chunk are not those that were sent")
    table = pa.ipc.open_stream(decided.decisions).read_all()
    if table.num_rows != decided.n_pages:
        raise errors.internal("%d decisions came for %d pages" % (table.num_rows, decided.n_pages))
    return table


def pages_of(prepared: bytes, decided: Decided) -> pa.Table:
    """Pages with their decisions, in the order of the engine's columns."""
    from windrow import _windrow

    pages = pa.Table.from_batches([pa.record_batch(_windrow.Prepared.from_bytes(bytes(prepared)).pages())])
    decisions = decisions_of(decided)
    if pages.num_rows != decisions.num_rows:
        raise errors.internal("a chunk has %d pages, and %d were decided" % (pages.num_rows, decisions.num_rows))
    columns = {name: pages.column(name) for name in pages.column_names}
    columns.update({name: decisions.column(name) for name in decisions.column_names})
    columns["record_id"] = record_ids(decided.ordinal, pages.column("record_id").to_pylist())
    columns["label"] = pc.dictionary_encode(decisions.column("label"))
    return pa.table([columns[field.name] for field in PAGES], schema=PAGES)


def rejects_of(rejects: bytes, ordinal: int, source: str) -> pa.Table:
    table = pa.ipc.open_stream(bytes(rejects)).read_all()
    ids = record_ids(ordinal, map(str, table.column("offset").to_pylist()))
    columns = [ids, table.column("reason"), table.column("raw"), pa.array([source] * table.num_rows, pa.string())]
    return pa.table(columns, schema=REJECTS)


def deliver(target: Target, decided: Dict[int, object]):
    """For `mapInArrow`: chunks become files. `decided` has for each part a broadcast of the decisions of its chunks."""

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        open_files: Dict[str, ParquetFile] = {}
        part: Optional[int] = None
        wanted: Dict[Tuple[str, int], Decided] = {}
        for batch in batches:
            for chunk in batch.to_pylist():
                if part is None:
                    part = chunk["part"]
                    wanted = dict(decided[part].value) if part in decided else {}
                found = wanted.pop((chunk["source"], chunk["from"]), None)
                if found is None:
                    raise errors.internal("a chunk of %s at %d was never decided" % (chunk["source"], chunk["from"]))
                for family, table in _tables(chunk, found):
                    if family not in open_files:
                        open_files[family] = ParquetFile(target, family, part)
                    open_files[family].write(table)
        if wanted:
            raise errors.internal("%d chunks of part %s are not there any more" % (len(wanted), part))
        rows = [file.close() for file in open_files.values()]
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema=_ARROW)

    return write


def _tables(chunk: dict, found: Decided) -> Iterator[Tuple[str, pa.Table]]:
    if chunk["n_pages"] > 0:
        yield "pages", pages_of(chunk["prepared"], found)
    if chunk["rejects"]:
        yield "rejects", rejects_of(chunk["rejects"], found.ordinal, chunk["source"])
