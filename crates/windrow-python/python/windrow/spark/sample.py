"""SAMPLE, on the executors: for streams that are faster than the learner on the driver.

```
chunks, persisted ─ mapInArrow ─> what a copy of the model makes of each: pages to learn, places of the others ─> driver: learn_sample
                    a copy a worker and batch, of the model at the batch's beginning
```

A page goes to the driver if the copy does not explain it, or if it is drawn by its place in the order. Of the others the driver sees where they
belong, and counts them there when it is their turn. How rows are cut into partitions, and how often a task is run, changes nothing.
"""

from __future__ import annotations

import contextlib
from typing import Dict, Iterable, Iterator, List, Optional, Tuple

import pyarrow as pa

from . import errors
from .chunks import arrow_of

LEARN = ("all", "sample")
RATE = 0.1
MODEL = "two-level"

SCHEMA = "part int, source string, place string, `from` long, n_pages long, n_learnt long, prepared binary"
_ARROW = arrow_of(SCHEMA)
# The copy that this process has, and the hash of its bytes: workers are used again, and a copy takes a while to read.
_copy: Tuple[str, object] = ("", None)


def rate_of(learn: str, sample: Optional[float]) -> Optional[float]:
    """The share of explained pages that is learnt; none where all pages are."""
    if learn not in LEARN:
        raise errors.invalid("E-SPARK-LEARN", "there is no way to learn called `%s`" % learn, "one of %s" % ", ".join(LEARN))
    if learn == "all":
        if sample is not None:
            raise errors.invalid("E-SPARK-LEARN", "a sample is asked for, and all pages are learnt", 'give learn="sample", or leave sample out')
        return None
    rate = RATE if sample is None else sample
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate <= 1:
        raise errors.invalid("E-SPARK-LEARN", "a sample of %r is none" % (rate,), "give a share of the pages: above 0, at most 1")
    return float(rate)


def check_model(kind: str) -> None:
    if kind != MODEL:
        message = "the model `%s` looks at every page: it cannot learn from a sample" % kind
        raise errors.invalid("E-SPARK-LEARN", message, 'give learn="all", or model.kind = "%s" with a new `out` folder' % MODEL)


@contextlib.contextmanager
def sampled(spark, chunked, metas: List, learner, rate: float) -> Iterator:
    """The chunks, each with what a copy of the learner's model made of its pages; while they are learnt."""
    data = learner.model.snapshot()
    positions, position = {}, learner.model.position
    for meta in metas:
        positions[(meta["part"], meta["source"], meta["from"])] = position
        position += meta["n_pages"]
    copies = spark.sparkContext.broadcast(data)
    # Sorting looks at its input twice.
    rows = chunked.mapInArrow(look_through(copies, learner.hash(data), positions, rate), SCHEMA).persist()
    try:
        yield rows
    finally:
        rows.unpersist()
        copies.destroy()


def look_through(copies, model_hash: str, positions: Dict[Tuple[int, str, int], int], rate: float):
    """For `mapInArrow`: chunks with their pages, to chunks with what is made of these."""

    def look(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from windrow import _windrow

        for batch in batches:
            for chunk in batch.to_pylist():
                model = copy_of(copies, model_hash)
                place = (chunk["part"], chunk["source"], chunk["from"])
                pages = _windrow.Prepared.from_bytes(chunk["prepared"])
                made, n_learnt = model.sample(pages, positions[place], rate)
                row = {name: chunk[name] for name in ("part", "source", "place", "from", "n_pages")}
                yield pa.RecordBatch.from_pylist([dict(row, n_learnt=n_learnt, prepared=made)], schema=_ARROW)

    return look


def copy_of(copies, model_hash: str):
    """The model of the batch; read once by each process."""
    global _copy
    from windrow import _windrow

    if _copy[0] != model_hash:
        _copy = (model_hash, _windrow.Model.restore(copies.value))
    return _copy[1]
