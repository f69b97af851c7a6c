"""Structured Streaming: one pipeline, prepared and delivered on the executors, learnt in one order on the driver.

```
micro-batch ─ mapInArrow ─> chunks, persisted ──────────────────────── mapInArrow ─> hidden Parquet ─┐
              prepare            │ in order of (partition, offset)     deliver           │           │
                                 └──> driver: learn ── decisions, a broadcast a part ────┘           │
                                            └── model ──> checkpoint, snapshot, manifest: the commit ┴─> files in view
```

**Positions are the truth, not batch ids.** The manifest says up to where each source is in the output; rows in front of that are passed
over wherever they come from: a batch that is repeated after a kill, an older copy of the checkpoint, a checkpoint that was deleted, rows that
the engine has learnt meanwhile. What begins behind it is refused, for rows would be missing. The source is computed once: chunks are
persisted, and computed again only where an executor took its share with it.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import threading
import zlib
from typing import Dict, Iterator, List, Optional, Set, Tuple

import pyarrow as pa

from . import chunks, errors, kafka, sample as samples
from .checkpoint import Checkpoint
from .deliver import LINEAGE, SCHEMA as FILES, Decided, ParquetFile, Target, deliver
from .records import COLUMNS, parse_columns
from .topics import SCHEMA as MESSAGES, Messages, check as check_topics, messages
from .state import Life, PublishedFile, State, blank

FORMATS = ("kafka", "csv", "json", "parquet")
# A file is one task's: records may span lines anywhere, and their places count from its start. With these sizes Spark neither cuts a file
# nor puts two into one task.
_WHOLE = str(1 << 46)
# Rows that go to a Python worker at once: of the source, and chunks, which have a megabyte or two each.
_BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"
_ROWS, _CHUNKS = "2048", "4"
# Chunks that are on the driver at once.
_AT_ONCE = 16
# Options of the CSV reader of Spark's that mean here what they mean there; the others change what a record is, and are refused.
_CSV_OPTIONS = ("sep", "delimiter", "header")


class ClusterStream:
    """Clusters a stream of web pages.

    >>> stream = ClusterStream(spark, "kafka", {"kafka.bootstrap.servers": "broker:9092", "subscribe": "pages"}, "out", "checkpoint")
    >>> stream.run(processingTime="10 seconds")

    `format` and `options` are those of `spark.readStream`: `kafka`, `csv`, `json` (a JSON object a line) or `parquet`; `path` is the folder.
    `out` lies where driver and executors see it under one name. `settings` is TOML, as in the engine's settings file; `columns` says what
    the input calls our columns: `url=landing_page,title=name`. `topics` are options of Spark's Kafka sink: then pages go to topics too, at
    least once. With `learn="sample"` the driver learns what the model as of the batch before does not explain, and of the rest this share:
    `sample`, a tenth if nothing is said.
    """

    def __init__(
        self,
        spark,
        format: str,
        options: Dict[str, str],
        out: str,
        checkpoint: str,
        *,
        settings: str = "",
        columns: str = "",
        topics: Optional[Dict[str, str]] = None,
        learn: str = "all",
        sample: Optional[float] = None,
    ) -> None:
        if not hasattr(spark, "_jsparkSession"):
            raise errors.invalid("E-SPARK-CONNECT", "Spark Connect has no driver of ours to learn on", "give a classic Spark session")
        # A session of its own: what is set here is nobody else's.
        self._spark, self._format, self._options = spark.newSession(), format, dict(options)
        self._columns, self._map = columns, _columns(columns)
        self._checkpoint_path, self._query, self._life, self._is_asked = checkpoint, None, None, False
        self._topics = topics and check_topics(topics)
        self._rate = samples.rate_of(learn, sample)
        self._gate, self._is_closed = threading.Lock(), False
        # Pages committed since the start, and those of them that were learnt one by one.
        self.pages, self.learnt = 0, 0
        self._form, self._input = _form(format, self._options, self._map)
        self._state = State(out)
        try:
            self._checkpoint = Checkpoint(self._spark, checkpoint)
            self._settings = self._settle(settings)
            self._learner = _Learner(self._state, self._checkpoint, self._settings)
            self._topic = None
            if format == "kafka":
                self._topic = kafka.look(spark, self._options, self._options["subscribe"])
                _same_topic(self._state.manifest, self._options["subscribe"], self._topic)
            self._life = Life(self._state)
        except BaseException:
            self._state.close()
            raise

    def _settle(self, settings: str) -> str:
        """The settings that the state was made with; a new pipeline takes those that are given."""
        from .. import _windrow

        asked = json.loads(_windrow.settings_json(settings))
        owner = self._checkpoint.owner()
        manifest = self._state.manifest
        if manifest is None:
            manifest = blank(asked)
            if owner:
                self._check_out(owner)
                if self._checkpoint.last_done() is not None:
                    message = "the checkpoint %s has committed batches, and there is no state in %s" % (self._checkpoint_path, self._state.out)
                    hint = "bring the state back; to start over, give a new checkpoint and a new `out` folder"
                    raise errors.data("E-STATE-MISSING", message, hint)
                manifest["pipeline"] = owner["pipeline"]
            self._blank = manifest
        else:
            # One that an older program began is watched from here on.
            if manifest.get("watch") is None:
                manifest["watch"] = dict(asked["watch"], **{"from": manifest["counters"]["pages"]})
            # A weight that an older program did not know was 0.
            have = dict(manifest, fields=dict({"template": 0.0}, **manifest["fields"]))
            others = [
                "%s is %s in the state and %s now" % (key, json.dumps(have[key]), json.dumps(asked[key]))
                for key in ("model", "fields", "clean")
                if settings.strip() and have[key] != asked[key]
            ]
            rates = [watch["false_alarms"] for watch in (manifest["watch"], asked["watch"])]
            if settings.strip() and rates[0] != rates[1]:
                others.append("watch.false_alarms is %s in the state and %s now" % tuple(rates))
            if manifest["counters"]["rows"] and _columns(manifest["columns"]) != self._map:
                others.append("source.columns is `%s` in the state and `%s` now" % (manifest["columns"], self._columns))
            if others:
                message = "these settings need new state: " + "; ".join(others)
                raise errors.invalid("E-SETTINGS-STATE", message, "set them back to go on, or give a new `out` folder and a new checkpoint")
            self._blank = None
            self._check_owner(owner, manifest)
        if manifest["model"]["kind"] == "original":
            message = "the model `original` is fitted anew for each block of rows, wherever batches end: the engine alone does that"
            raise errors.invalid("E-SPARK-STATE", message, "use `windrow run`, or another model.kind with a new `out` folder")
        if self._rate is not None:
            samples.check_model(manifest["model"]["kind"])
        if manifest["clean"].get("duplicates", {}).get("action", "keep") != "keep":
            message = "the state looks for duplicates (clean.duplicates), which the engine alone does"
            raise errors.invalid("E-SPARK-STATE", message, "use `windrow run`, or a new `out` folder with clean.duplicates = \"keep\"")
        self._form = self._form._replace(longest=manifest["max_record"])
        if owner is None:
            self._checkpoint.claim(manifest["pipeline"], self._state.out)
        return _windrow.settings_toml(json.dumps({key: manifest[key] for key in ("model", "fields", "clean", "watch")}))

    def _check_out(self, owner: dict) -> None:
        """An `out` without a state has nothing that says that it is this pipeline's, but its place."""
        if owner["out"] != self._state.out:
            raise self._of_another(owner)

    def _of_another(self, owner: dict) -> Exception:
        message = "the checkpoint %s is that of another pipeline, with the output %s" % (self._checkpoint_path, owner["out"])
        return errors.invalid("E-SPARK-CHECKPOINT", message, "give each `out` folder a checkpoint of its own")

    def _check_owner(self, owner: Optional[dict], manifest: dict) -> None:
        if owner and owner["pipeline"] != manifest["pipeline"]:
            raise self._of_another(owner)
        done = self._checkpoint.last_done()
        if done is None:
            return
        about = self._checkpoint.batch(done)
        if about is None:
            message = "the checkpoint %s does not say what became of its batch %d" % (self._checkpoint_path, done)
            hint = "bring its folder `windrow` back, or give a new checkpoint: what is in the output is passed over"
            raise errors.invalid("E-SPARK-CHECKPOINT", message, hint)
        if about["epoch"] > manifest["epoch"]:
            message = "batch %d of the checkpoint became commit %d, and the state %s is at commit %d: it was put back to an older copy"
            message %= (done, about["epoch"], self._state.folder, manifest["epoch"])
            raise errors.data("E-STATE-OLDER", message, "bring the newer state back, or give a new checkpoint to read again what the older one lacks")

    # --- running

    def start(self, **trigger):
        """Starts the query and gives it. `trigger` is that of `DataStreamWriter.trigger`: processingTime="10 seconds", availableNow=True."""
        self._learner.begin()
        writer = self._rows().writeStream.queryName("windrow").option("checkpointLocation", self._checkpoint_path)
        if trigger:
            writer = writer.trigger(**trigger)
        self._query = writer.foreachBatch(self._batch).start()
        return self._query

    def run(self, **trigger) -> bool:
        """Starts the query, waits for its end, and lets go of the folders. Says whether it ended by itself."""
        try:
            query = self.start(**trigger)
            # Never for long: a call to the JVM that a signal breaks off leaves its connection waiting for ever.
            while not query.awaitTermination(1) and not self._is_asked:
                pass
        except BaseException as error:
            error = self._learner.failure or error
            self.close(error)
            raise error
        self.close(KeyboardInterrupt() if self._is_asked else None)
        return not self._is_asked

    def stop(self) -> None:
        """Asks a run to end; from a handler of signals, or another thread. What is not committed comes again with the next start."""
        self._is_asked = True

    def close(self, error: Optional[BaseException] = None) -> None:
        """Lets go of the folders; a query that runs is stopped before."""
        gone = None
        try:
            if self._query is not None and self._query.isActive:
                self._query.stop()
        except Exception as lost:  # a JVM that died took its query along; the folders are ours to let go of all the same
            gone = lost
        self._let_go(error or gone)
        if gone is not None and error is None:
            raise gone

    def _let_go(self, error: Optional[BaseException]) -> None:
        with self._gate:
            self._is_closed = True
            life, self._life = self._life, None
            if life is not None:
                # Also what a second attempt of a task began when the first had won.
                self._state.drop_leftovers()
                life.end(error)
            self._state.close()

    def __enter__(self) -> "ClusterStream":
        return self

    def __exit__(self, kind, error, trace) -> None:
        self.close(error)

    def _rows(self):
        """The source, as Spark reads it."""
        spark, options = self._spark, self._options
        if self._format == "kafka":
            return spark.readStream.format("kafka").options(**options).load().select("topic", "partition", "offset", "value")
        spark.conf.set("spark.sql.files.maxPartitionBytes", _WHOLE)
        spark.conf.set("spark.sql.files.openCostInBytes", _WHOLE)
        reader, path = spark.readStream, options["path"]
        rest = {key: value for key, value in options.items() if key not in ("path", *_CSV_OPTIONS)}
        if self._format == "parquet":
            found = spark.read.parquet(path).schema
            names = {field.name.lower(): field.name for field in found.fields}
            wanted = [names.get(self._map.get(column, column).lower()) for column in COLUMNS]
            rows = reader.format("parquet").schema(found).options(**rest).load(path)
            kinds = {field.name: field.dataType.typeName() for field in found.fields}
            cells = [_cell(name, kinds[name]) if name else "cast(null as binary)" for name in wanted]
            return rows.selectExpr("_metadata.file_path as file", *("%s as %s" % pair for pair in zip(cells, COLUMNS)))
        rows = reader.format("text").option("lineSep", "\n").options(**rest).load(path)
        return rows.selectExpr("_metadata.file_path as file", "cast(value as binary) as value")

    # --- a batch

    def _batch(self, rows, batch_id: int) -> None:
        try:
            self._state.check()
            self._process(rows, batch_id)
        except BaseException as error:
            self._learner.failed(errors.of_executor(error))
            raise

    def _process(self, rows, batch_id: int) -> None:
        body = copy.deepcopy(self._state.manifest or self._blank)
        body["epoch"] += 1
        sources = _Sources(body, self._form)
        ends = self._enter(sources, batch_id)
        prepare = chunks.prepare_messages if self._format == "kafka" else chunks.prepare_files
        chunked = rows.mapInArrow(prepare(self._form, self._settings, sources.known()), chunks.SCHEMA)
        rows.sparkSession.conf.set(_BATCH, _ROWS)
        chunked = chunked.persist()
        try:
            metas = chunked.drop("prepared", "rejects").collect()
            rows.sparkSession.conf.set(_BATCH, _CHUNKS)
            metas.sort(key=lambda meta: (meta["place"], meta["from"]))
            sources.advance(metas)
            about = {"pipeline": body["pipeline"], "ends": ends, "offsets": sources.offsets()}
            if metas:
                self._commit(body, sources, chunked, metas, (batch_id, about))
            else:  # all of it is in a commit already
                self._checkpoint.keep(batch_id, dict(about, epoch=self._state.epoch))
        finally:
            chunked.unpersist()

    def _enter(self, sources: "_Sources", batch_id: int) -> Dict[str, int]:
        """Where the batch ends in the partitions of a topic. What lies between commit and batch would be lost, but for what no reader sees:
        the markers of transactions behind the last row of the batch before."""
        if self._format != "kafka":
            return {}
        start, end = self._checkpoint.offsets(batch_id)
        before = self._checkpoint.batch(batch_id - 1) or {"ends": {}, "offsets": {}}
        for topic, partitions in end.items():
            for partition in sorted(partitions, key=int):
                name, begin = kafka.source_of(topic, int(partition)), start.get(topic, {}).get(partition, 0)
                if before["ends"].get(name) == begin:
                    begin = min(begin, before["offsets"].get(name, begin))
                sources.enter_partition(name, begin, self._topic)
        return {kafka.source_of(topic, int(at)): offset for topic, partitions in end.items() for at, offset in partitions.items()}

    def _commit(self, body: dict, sources: "_Sources", chunked, metas: List, batch: Tuple[int, dict]) -> None:
        target = Target(self._state.out, body["pipeline"], body["epoch"], errors.version())
        decided, lineage, n_learnt = self._learn(sources, chunked, metas, body)
        published = self._deliver(target, chunked, decided, metas, lineage)
        events = self._write_lineage(target, lineage)
        kept = None
        if events:
            with open(os.path.join(self._state.out, "lineage", events["attempt"]), "rb") as file:
                kept = file.read()
            published.append(self._publish(target, events, 0))
        _count(body, metas, lineage)
        body["inputs"], body["columns"] = self._inputs(body), self._columns
        model = self._learner.model.snapshot()
        model_hash = self._learner.hash(model)
        batch_id, about = batch
        self._checkpoint.keep(batch_id, dict(about, epoch=body["epoch"]), model, kept)
        # A batch may outlive its query, for a call out of the JVM is not broken off: it is all committed before the folders are let go of, or not at all.
        with self._gate:
            if self._is_closed:
                raise errors.environment("E-SPARK", "the query has ended, and its last batch is not committed", "the next start reads it again")
            self._state.commit(body, published, model, model_hash, sources.order)
            self._state.drop_leftovers()
        self.pages += sum(meta["n_pages"] for meta in metas)
        self.learnt += n_learnt

    def _inputs(self, body: dict) -> list:
        """The inputs as last given, and those before, so that an audit finds all of them."""
        return [name for name in body["inputs"] if name != self._input] + [self._input]

    def _learn(self, sources: "_Sources", chunked, metas: List, body: dict):
        """Streams prepared chunks to the driver in order, and learns them there."""
        decided: Dict[int, Dict[Tuple[str, int], Decided]] = {}
        edits = self._state.edits.take(self._learner.model.position, body["edits"])
        lineage = [events for edit in edits for events in self._learner.edit(edit, self._state.edits)]
        body["edits"] += len(edits)
        wanted, n_learnt = iter(metas), 0
        with self._to_learn(chunked, metas) as (rows, learn):
            for chunk in _in_order(rows, metas):
                meta = next(wanted, None)
                if meta is None or (meta["source"], meta["from"], meta["n_pages"]) != (chunk["source"], chunk["from"], chunk["n_pages"]):
                    raise errors.internal("chunks came to the driver in another order than they have")
                ordinal = sources.ordinal(chunk["source"])
                table, events = learn(bytes(chunk["prepared"]), ordinal)
                lineage += [events] if events.num_rows else []
                part = decided.setdefault(chunk["part"], {})
                data = _ipc(table)
                part[(chunk["source"], chunk["from"])] = Decided(ordinal, chunk["n_pages"], zlib.crc32(data), data)
                body["counters"]["novel"] += table.column("novel").true_count
                n_learnt += chunk["n_learnt"]
        if next(wanted, None) is not None:
            raise errors.internal("chunks are missing that were prepared")
        self._learner.model.settle()
        return decided, lineage, n_learnt

    @contextlib.contextmanager
    def _to_learn(self, chunked, metas: List):
        """What reaches the driver of the chunks, and how it is learnt there."""
        if self._rate is None:
            yield chunked.withColumn("n_learnt", chunked["n_pages"]), self._learner.learn
            return
        with samples.sampled(self._spark, chunked, metas, self._learner, self._rate) as rows:
            yield rows, self._learner.learn_sample

    def _deliver(self, target: Target, chunked, decided: dict, metas: List, lineage: List) -> List[PublishedFile]:
        """The executors write the files; those of the attempts that Spark took get their places, in the order learnt."""
        context = self._spark.sparkContext
        sent = {part: context.broadcast(chunks_of) for part, chunks_of in decided.items()}
        try:
            written = chunked.mapInArrow(deliver(target, sent), FILES).collect() if metas else []
            if metas and self._topics:
                self._send(target, chunked, sent, lineage)
        finally:
            for broadcast in sent.values():
                broadcast.destroy()
        places = {}
        for meta in metas:
            places.setdefault(meta["part"], len(places))
        written.sort(key=lambda file: (file["family"], places[file["part"]]))
        published, sequence = [], {}
        for file in written:
            at = sequence[file["family"]] = sequence.get(file["family"], -1) + 1
            published.append(self._publish(target, file.asDict(), at))
        return published

    def _send(self, target: Target, chunked, sent: dict, lineage: List) -> None:
        """The same as messages, before the commit: a batch that is repeated sends them again."""
        options = {key: value for key, value in self._topics.items() if key != "topicPrefix"}
        rows = chunked.mapInArrow(messages(target, self._topics["topicPrefix"], sent), MESSAGES)
        rows.write.format("kafka").options(**options).option("includeHeaders", "true").save()
        events = [event for batch in lineage for event in batch.to_pylist()]
        if events:
            made = [Messages(target, "").event(event) for event in events]
            rows = [(row["topic"], row["key"], row["value"], [(pair["key"], pair["value"]) for pair in row["headers"]]) for row in made]
            frame = self._spark.createDataFrame(rows, MESSAGES)
            frame.coalesce(1).write.format("kafka").options(**options).option("includeHeaders", "true").save()

    def _publish(self, target: Target, file: dict, sequence: int) -> PublishedFile:
        name = self._state.seal(file["family"], file["attempt"], sequence, target.epoch)
        return PublishedFile(file["family"], name, target.epoch, file["rows"], file["bytes"], file["crc32"])

    def _write_lineage(self, target: Target, lineage: List[pa.RecordBatch]) -> Optional[dict]:
        if not lineage:
            return None
        events = pa.Table.from_batches(lineage)
        columns = {name: events.column(name) for name in events.column_names}
        columns["epoch"] = pa.array([target.epoch] * events.num_rows, pa.int64())
        file = ParquetFile(target, "lineage", 0)
        file.write(pa.table([columns[field.name] for field in LINEAGE], schema=LINEAGE))
        return file.close()


class _Learner:
    """The model on the driver; one that was left in the middle of a batch is made anew from the last commit."""

    def __init__(self, state: State, checkpoint: Checkpoint, settings: str) -> None:
        from .. import _windrow

        self._native, self._state, self._checkpoint, self._settings = _windrow, state, checkpoint, settings
        self.failure: Optional[BaseException] = None
        self.model = None
        self.begin()

    def begin(self) -> None:
        """Begins, or begins again, with what is committed."""
        self.failure = None
        self.model = self.model or self._load()

    def _load(self):
        try:
            model = self._state.model(self.hash)
        except Exception as error:
            model = self._checkpoint.model_of(self._state.epoch)
            wanted = self._state.manifest["snapshots"][-1]["model"]
            if model is None or self.hash(model) != wanted:
                raise error
        loaded = self._native.Model.restore(model) if model else self._native.Model(self._settings)
        if self._state.manifest:
            watch = self._state.manifest["watch"]
            loaded.watch(watch["false_alarms"], watch["from"])
        return loaded

    def hash(self, data: bytes) -> str:
        """A model's hash as manifests have it."""
        return "%016x" % self._native.hash64(data)

    def learn(self, prepared: bytes, ordinal: int):
        pages = self._native.Prepared.from_bytes(prepared).with_source(ordinal)
        decisions = pa.record_batch(self.model.learn(pages))
        return decisions, pa.record_batch(self.model.lineage())

    def learn_sample(self, sample: bytes, ordinal: int):
        decisions = pa.record_batch(self.model.learn_sample(sample, ordinal))
        return decisions, pa.record_batch(self.model.lineage())

    def edit(self, edit: dict, edits) -> List[pa.RecordBatch]:
        """Does what a user asked for; what cannot be done is refused, and told."""
        try:
            asked = {key: value for key, value in edit.items() if key not in ("request", "position")}
            self.model.edit(json.dumps(asked))
        except errors.InvalidError as error:
            edits.refuse(edit["request"], json.dumps(asked), error.message)
            return []
        return [pa.record_batch(self.model.lineage())]

    def failed(self, error: BaseException) -> None:
        """Nothing of the batch is committed: neither is what was learnt of it."""
        self.failure = error
        self.model = None


class _Sources:
    """The sources of the manifest that is to be, and how a batch moves them."""

    def __init__(self, body: dict, form: chunks.Form) -> None:
        self._sources, self._form = body["positions"]["sources"], form
        self._ordinals = {source["name"]: ordinal for ordinal, source in enumerate(self._sources)}
        self._fresh: Set[str] = set()
        self.order: List[List[int]] = []

    def known(self) -> Dict[str, chunks.Known]:
        """Of each source up to where it is in a commit."""
        last = {source["name"]: source for source in self._sources}
        return {name: chunks.Known(it["offset"], it["head_len"], it["head_hash"]) for name, it in last.items()}

    def ordinal(self, name: str) -> int:
        return self._ordinals[name]

    def _add(self, name: str, **about) -> int:
        source = {"name": name, "device": 0, "inode": 0, "head_len": 0, "head_hash": 0, "offset": 0, "rows": 0}
        source.update(about)
        self._sources.append(source)
        self._ordinals[name] = len(self._sources) - 1
        return self._ordinals[name]

    def enter_partition(self, name: str, begin: int, topic: kafka.Topic) -> None:
        if name not in self._ordinals:
            self._add(name, device=topic.brokers, inode=topic.id, start=begin, offset=begin)
            return
        at = self._sources[self._ordinals[name]]["offset"]
        if begin > at:
            message = "%s is in the output up to offset %d, and the batch begins at %d: what lies between would be lost" % (name, at, begin)
            raise errors.data("E-SPARK-GAP", message, "give a new checkpoint, and startingOffsets `earliest`: what is in the output is passed over")

    def advance(self, metas: List) -> None:
        """Moves the sources to the end of the batch, and notes the order in which it is learnt."""
        for meta in metas:
            name = meta["source"]
            if name not in self._ordinals or (meta["anew"] and name not in self._fresh):
                self._add(name, **_file(name, self._form))
                self._fresh.add(name)
            source = self._sources[self._ordinals[name]]
            self._step(self._ordinals[name], meta["to"])
            source["offset"], source["rows"] = meta["to"], source["rows"] + meta["n_rows"]

    def offsets(self) -> Dict[str, int]:
        """Up to where each partition is in the output."""
        return {source["name"]: source["offset"] for source in self._sources if source["name"].startswith("kafka:")}

    def _step(self, ordinal: int, to: int) -> None:
        if self.order and self.order[-1][0] == ordinal:
            self.order[-1][1] = to
        else:
            self.order.append([ordinal, to])


def _in_order(chunked, metas: List) -> Iterator:
    """The chunks, a few at a time on the driver, in the order that they are learnt in."""
    if not metas:
        return iter(())
    chunked = chunked.select("part", "source", "place", "from", "n_pages", "n_learnt", "prepared")
    n = -(-len(metas) // _AT_ONCE)
    return chunked.repartitionByRange(n, "place", "from").sortWithinPartitions("place", "from").toLocalIterator()


def _count(body: dict, metas: List, lineage: List[pa.RecordBatch]) -> None:
    counted = body["counters"]
    alarms = sum(events.column("event").to_pylist().count("drifted") for events in lineage)
    if alarms:
        counted["alarms"] = counted.get("alarms", 0) + alarms
    for meta in metas:
        counted["rows"] += meta["n_rows"]
        counted["pages"] += meta["n_pages"]
        for reason, count in json.loads(meta["reasons"]).items():
            counted["rejects"][reason] = counted["rejects"].get(reason, 0) + count


def _ipc(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


# What comes as it is, and is written as the engine writes it; of other types Spark makes a text.
_AS_THEY_ARE = ("byte", "short", "integer", "long", "timestamp", "timestamp_ntz")


def _cell(name: str, kind: str) -> str:
    """A column of a Parquet file."""
    quoted = "`%s`" % name.replace("`", "``")
    return quoted if kind in _AS_THEY_ARE else "cast(cast(%s as string) as binary)" % quoted


def _file(name: str, form: chunks.Form) -> dict:
    """What a file is known by, as far as it lies on this machine."""
    from .. import _windrow

    encoding = {"encoding": "utf-8"}
    delimiters = {",": ",", ";": ";", "\t": "tab", "|": "|"}
    written = {"csv": {"format": "csv", "delimiter": delimiters.get(form.delimiter, ","), **encoding}, "json": {"format": "jsonl", **encoding}}
    written["parquet"] = {"format": "parquet"}
    about = {"written": written[form.kind]} if form.kind in written else {}
    head = chunks.head_of(name)
    if head is None:
        return about
    there = os.stat(name)
    return dict(about, device=there.st_dev, inode=there.st_ino, head_len=len(head), head_hash=_windrow.hash64(head))


def _columns(text: str) -> dict:
    try:
        return parse_columns(text)
    except ValueError as error:
        raise errors.invalid("E-COLUMN-MAP", str(error), "for example columns=\"url=landing_page,title=name\"") from None


def _form(format: str, options: Dict[str, str], columns: dict) -> Tuple[chunks.Form, str]:
    """How rows are written, and what the input is called."""
    if format not in FORMATS:
        raise errors.invalid("E-SPARK-FORMAT", "there is no format `%s`" % format, "one of %s" % ", ".join(FORMATS))
    if format == "kafka":
        topic = options.get("subscribe", "")
        if not topic or "," in topic:
            raise errors.invalid("E-SPARK-TOPIC", "a pipeline reads one topic, whole", "give the option subscribe=TOPIC")
        options.setdefault("startingOffsets", "earliest")
        options.setdefault("kafka.isolation.level", "read_committed")
        return chunks.Form(format, ",", columns, 1 << 20), "kafka:" + topic
    if "path" not in options:
        raise errors.invalid("E-SPARK-PATH", "there is no folder to read", "give the option path=FOLDER")
    delimiter = options.get("sep", options.get("delimiter", ","))
    delimiter = {"\\t": "\t"}.get(delimiter, delimiter)
    if format == "csv" and (delimiter not in (",", ";", "\t", "|") or options.get("header", "true").lower() != "true"):
        message = "CSV comes with a header, and one of , ; tab | between fields"
        raise errors.invalid("E-SPARK-CSV", message, "leave the options header and sep out, or mend them")
    refused = [key for key in ("multiLine", "encoding", "charset", "quote", "escape", "comment", "mode", "lineSep") if key in options]
    if refused:
        message = "the options %s do not change how records are read here" % ", ".join(refused)
        hint = "leave them out: records are read as the engine does, UTF-8, with quotes doubled, over several lines"
        raise errors.invalid("E-SPARK-CSV", message, hint)
    path = options["path"]
    options["path"] = path if "://" in path else os.path.abspath(path)
    return chunks.Form(format, delimiter, columns, 1 << 20), options["path"]


def _same_topic(manifest: Optional[dict], topic: str, found: kafka.Topic) -> None:
    """Refuses another cluster's topic, and one that was made anew: its offsets would be taken for those that are known."""
    sources = manifest["positions"]["sources"] if manifest else []
    known = [source for source in sources if source["name"].startswith("kafka:%s/" % topic)]
    if any(source["device"] != found.brokers for source in known):
        message = "the brokers are not those that this state has read %s from: their cluster has another id" % topic
        raise errors.invalid("E-KAFKA-CLUSTER", message, "is kafka.bootstrap.servers right? To read another cluster's topic, give a new `out` folder")
    latest = {source["name"]: source for source in known}.values()
    if any(source["inode"] and found.id and source["inode"] != found.id for source in latest):
        message = "%s was made anew since it was read: its offsets are other rows" % topic
        raise errors.invalid("E-KAFKA-GONE", message, "give a new `out` folder and a new checkpoint")
