"""Kafka out: messages as the engine sends them (docs/reference/output.md), through Spark's own sink.

Spark has no transactions there: a batch that is repeated sends its messages again, with the same record ids, so that readers can drop what
they have. Parquet stays exactly once.
"""

from __future__ import annotations

import decimal
import json
from typing import Dict, Iterable, Iterator, List, Optional, Tuple

import pyarrow as pa

from . import errors, times
from .deliver import Decided, Target, pages_of, rejects_of

SCHEMA = "topic string, key binary, value binary, headers array<struct<key: string, value: binary>>"
_ARROW = pa.schema(
    [
        ("topic", pa.string()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("headers", pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))),
    ]
)
REJECTS, LINEAGE = "windrow-rejects", "windrow-lineage"
_FLAT = ("id", "url", "title", "keywords", "description", "domain")


class Messages:
    """Makes the messages of an epoch."""

    def __init__(self, target: Target, prefix: str) -> None:
        self._prefix, self._about = prefix, {"pipeline": target.pipeline, "epoch": str(target.epoch)}

    def _message(self, topic: str, key: Optional[str], value: Optional[bytes], schema: str, more: Iterable[Tuple[str, str]]) -> dict:
        headers = [("windrow-schema", schema)] + [("windrow-" + name, text) for name, text in self._about.items()] + list(more)
        pairs = [{"key": name, "value": text.encode()} for name, text in headers]
        return {"topic": topic, "key": key.encode() if key else None, "value": value, "headers": pairs}

    def page(self, page: dict) -> dict:
        value = dict(page, **{name: page[name] or None for name in _FLAT})
        headers = [
            ("windrow-record-id", page["record_id"]),
            ("windrow-cluster", str(page["cluster"])),
            ("windrow-micro-cluster", str(page["micro_cluster"])),
            ("windrow-novel", "1" if page["novel"] else "0"),
            ("windrow-score", number_text(page["score"])),
        ]
        return self._message(self._prefix + str(page["slot"]), page["domain"], _json(value), "windrow.page/1", headers)

    def reject(self, reject: dict) -> dict:
        source, offset = reject["source"], reject["record_id"].rpartition(":")[2]
        topic, _, partition = source[len("kafka:") :].rpartition("/") if source.startswith("kafka:") else (source, "", "")
        headers = [
            ("windrow-record-id", reject["record_id"]),
            ("windrow-reason", reject["reason"]),
            ("__connect.errors.topic", topic),
            ("__connect.errors.offset", offset),
            ("__connect.errors.connector.name", "windrow"),
            ("__connect.errors.task.id", "0"),
            ("__connect.errors.stage", "VALUE_CONVERTER"),
            ("__connect.errors.exception.class.name", "windrow.RowRejected"),
        ] + ([("__connect.errors.partition", partition)] if partition else [])
        value = None if reject["reason"] == "tombstone" else reject["raw"]
        return self._message(REJECTS, None, value, "windrow.reject/1", headers)

    def event(self, event: dict) -> dict:
        about = {"pipeline": self._about["pipeline"], "epoch": int(self._about["epoch"])}
        value = dict(about, **{name: value for name, value in event.items() if value is not None and name != "epoch"})
        return self._message(LINEAGE, str(event["cluster"]), _json(value), "windrow.lineage/1", ())


def number_text(number: float) -> str:
    """A number as the engine writes it in a header: all its digits, no exponent."""
    text = format(decimal.Decimal(repr(number)), "f")
    return text[:-2] if text.endswith(".0") else text


def _json(value: dict) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def messages(target: Target, prefix: str, decided: Dict[int, object]):
    """For `mapInArrow`: chunks become messages."""

    def make(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        maker = Messages(target, prefix)
        for batch in batches:
            for chunk in batch.to_pylist():
                found: Decided = decided[chunk["part"]].value[(chunk["source"], chunk["from"])]
                rows: List[dict] = []
                if chunk["n_pages"] > 0:
                    rows += map(maker.page, _with_texts(pages_of(chunk["prepared"], found)).to_pylist())
                if chunk["rejects"]:
                    rows += map(maker.reject, rejects_of(chunk["rejects"], found.ordinal, chunk["source"]).to_pylist())
                if rows:
                    yield pa.RecordBatch.from_pylist(rows, schema=_ARROW)

    return make


def _with_texts(pages: pa.Table) -> pa.Table:
    """Pages whose times are texts already: rows of Python have none before the year 1."""
    at = pages.schema.get_field_index("creation_time")
    return pages.set_column(at, "creation_time", times.texts(pages.column(at).combine_chunks()))


def check(options: Dict[str, str]) -> Dict[str, str]:
    """The options of Spark's sink, with the prefix of the topics taken out."""
    if "kafka.bootstrap.servers" not in options:
        raise errors.invalid("E-SPARK-TOPIC", "there are topics to write, and no broker", "give the output option kafka.bootstrap.servers=HOST:PORT")
    return dict(options, topicPrefix=options.get("topicPrefix", "cluster_"))
