"""What a row costs on Spark, and where the time goes.

    spark_rates.py job IN OUT CORES WARM     the streaming job over the files of IN, two a batch, with clocks around its steps
    spark_rates.py alone IN OUT              the same functions on the same rows without Spark, on one core

The job is `windrow.spark.ClusterStream`, as users call it. Two kinds of clock tick in it:

- the driver's wall clock, around the steps of a batch, which follow one another: prepare, collect (chunks in order to the driver), learn, deliver,
  commit, and what Spark does between two batches;
- processor time, which other work on the machine hardly changes: of the native calls, of the Parquet writer, and of what comes in and goes out as
  Arrow, taken in the process that does it (each task leaves a line in a file); of everything else by process and, in the JVM, by thread, as the
  kernel counts it.

A clock stands around a name of the package, so a name that goes is an error here. Behind the stream, in the same session, stands what Spark takes
for the same files without any work of ours: reading them, and handing them to Python. Prints one JSON object.
"""

import contextlib
import glob
import json
import os
import statistics
import sys
import time
import zlib
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq

from windrow import _windrow
from windrow.spark import chunks, stream
from windrow.spark import deliver as delivery

from spark_session import FILES_A_BATCH, Steady, processes, session, stat

#: What threads of the JVM are for, by how their names begin. The rest is Spark's own: plans, schedules, logs.
THREADS = {"Executor task": "jvm_tasks", "GC": "jvm_memory", "G1": "jvm_memory", "VM": "jvm_memory", "C1": "jvm_compiler", "C2": "jvm_compiler"}
#: What tasks tell of themselves.
IN_WORKERS = ("prepare", "prepare_python", "deliver", "deliver_python", "parquet", "arrow")
BATCH_ROWS = int(stream._ROWS)
FLOOR_TURNS = 3


class Spent:
    """Processor seconds of this process by what they went into."""

    def __init__(self):
        self.seconds = {}

    def timed(self, part, call, *args, **kwargs):
        begin = time.process_time()
        answer = call(*args, **kwargs)
        self.add(part, time.process_time() - begin)
        return answer

    def add(self, part, seconds):
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds


class Timed:
    """An object whose calls are timed, and so are those of what they give, where that is of the same kind as asked for."""

    def __init__(self, inner, spent, part, kind=()):
        self._about = inner, spent, part, kind

    def __getattr__(self, name):
        inner, spent, part, kind = self._about
        found = getattr(inner, name)
        if not callable(found):
            return found

        def call(*args, **kwargs):
            answer = spent.timed(part, found, *args, **kwargs)
            return Timed(answer, spent, part, kind) if isinstance(answer, kind) else answer

        return call


# --- in the workers


@contextlib.contextmanager
def clocks(spent, stage):
    """Native calls and Parquet writers of this process are timed meanwhile; what is left of its time are Python's own steps."""
    real, begin = (_windrow.Preparer, _windrow.Prepared, pq.ParquetWriter), time.process_time()
    _windrow.Preparer = lambda *of: Timed(real[0](*of), spent, stage, real[1])
    _windrow.Prepared = Timed(real[1], spent, stage, real[1])
    pq.ParquetWriter = lambda *of, **more: Timed(real[2](*of, **more), spent, "parquet")
    try:
        yield
    finally:
        _windrow.Preparer, _windrow.Prepared, pq.ParquetWriter = real
    spent.seconds[stage + "_python"] = time.process_time() - begin - sum(spent.seconds.values())


def measured(stage, make, path):
    """What `make` makes for `mapInArrow`, with clocks. A task leaves one line in the file at `path`."""

    def made(*args):
        work = make(*args)

        def run(batches):
            spent = Spent()
            with clocks(spent, stage):
                produced = work(inputs(batches, spent))
                for batch in produced:
                    given = time.process_time()
                    yield batch
                    spent.add("arrow", time.process_time() - given)
            with open(path, "ab", buffering=0) as file:
                file.write(json.dumps(spent.seconds).encode() + b"\n")

        return run

    return made


def inputs(batches, spent):
    while (batch := spent.timed("arrow", next, batches, None)) is not None:
        yield batch


# --- in the driver


class Measured(stream.ClusterStream):
    """The stream, with a clock around each step of a batch."""

    def __init__(self, steady, path, *args):
        super().__init__(*args)
        self.steady, self.before, self.steps = steady, None, Steps()
        self._path, self._begin = path, 0.0
        self._learner.learn = self.steps.around("learn_alone", self._learner.learn)

    def _batch(self, rows, batch_id):
        known = self._rows_done()
        self._begin = time.perf_counter()
        super()._batch(rows, batch_id)
        self.steady.ended(self._rows_done() - known)
        if self.steady.is_counted() and self.before is None:
            self.before = Look(self._path)
            self.steps.forget()

    def _commit(self, *args):
        self.steps.add("prepare", time.perf_counter() - self._begin)
        return self.steps.around("commit", super()._commit)(*args)

    def _learn(self, *args):
        return self.steps.around("learn", super()._learn)(*args)

    def _deliver(self, *args):
        return self.steps.around("deliver", super()._deliver)(*args)

    def _rows_done(self):
        return self._state.manifest["counters"]["rows"] if self._state.manifest else 0


class Steps:
    """Seconds of the driver's wall clock by step, and processor seconds of the thread that learns."""

    def __init__(self):
        self.forget()

    def forget(self):
        self.seconds, self.native = {}, 0.0

    def add(self, step, seconds):
        self.seconds[step] = self.seconds.get(step, 0.0) + seconds

    def around(self, step, call):
        def timed(*args):
            wall, processor = time.perf_counter(), time.thread_time()
            answer = call(*args)
            self.add(step, time.perf_counter() - wall)
            self.native += time.thread_time() - processor if step == "learn_alone" else 0.0
            return answer

        return timed


class Look:
    """Processor seconds so far: of the driver, of its JVM by what threads are for, of the workers; and what tasks have told."""

    def __init__(self, path):
        self.parts = {"driver": time.process_time(), "workers": 0.0, "jvm_tasks": 0.0, "jvm_memory": 0.0, "jvm_compiler": 0.0}
        found, us = processes(), str(os.getpid())
        jvm = next(pid for pid, (name, _, _) in found.items() if name == "java")
        self.parts["workers"] = sum(seconds for pid, (_, _, seconds) in found.items() if pid not in (jvm, us))
        self.parts["jvm_rest"] = found[jvm][2]
        for name, _, seconds in filter(None, map(stat, glob.glob("/proc/%s/task/*/stat" % jvm))):
            part = next((part for start, part in THREADS.items() if name.startswith(start)), None)
            if part:
                self.parts[part] += seconds
                self.parts["jvm_rest"] -= seconds
        with open(path, "rb") as file:
            for line in file:
                for part, seconds in json.loads(line).items():
                    self.parts[part] = self.parts.get(part, 0.0) + seconds

    def since(self, before):
        return {part: seconds - before.parts.get(part, 0.0) for part, seconds in self.parts.items()}


def job(source, out, cores, warm):
    os.makedirs(out)
    spark, tasks = session(cores), os.path.join(out, "tasks.jsonl")
    open(tasks, "x").close()
    chunks.prepare_files = measured("prepare", chunks.prepare_files, tasks)
    stream.deliver = measured("deliver", stream.deliver, tasks)
    steady, options = Steady(warm), {"path": source, "maxFilesPerTrigger": str(FILES_A_BATCH)}
    clustering = Measured(steady, tasks, spark, "csv", options, os.path.join(out, "out"), os.path.join(out, "checkpoint"))
    clustering.start(availableNow=True).awaitTermination()
    after = Look(tasks)
    told = steady.told()
    manifest = clustering._state.manifest
    clustering.close()
    timed = clustering.steps.seconds
    steps = {
        "prepare": timed["prepare"],
        "collect": timed["learn"] - timed["learn_alone"],
        "learn": timed["learn_alone"],
        "deliver": timed["deliver"],
        "commit": timed["commit"] - timed["learn"] - timed["deliver"],
        "between": told["seconds"] - timed["prepare"] - timed["commit"],
    }
    spent = after.since(clustering.before)
    spent["learn"] = clustering.steps.native
    spent["driver"] -= spent["learn"]
    spent["workers"] -= sum(spent[part] for part in IN_WORKERS)
    told.update(steps=steps, processor=spent, model=manifest["snapshots"][-1]["model"], floors=floors(spark, source))
    print(json.dumps(told))
    spark.stop()


def floors(spark, source):
    """Seconds that Spark takes to read the files, and to hand them to Python besides; the median of a few turns each."""
    for limit in ("maxPartitionBytes", "openCostInBytes"):
        spark.conf.set("spark.sql.files." + limit, stream._WHOLE)
    spark.conf.set(stream._BATCH, stream._ROWS)
    lines = spark.read.format("text").option("lineSep", "\n").load(source)
    rows = lines.selectExpr("_metadata.file_path as file", "cast(value as binary) as value")
    passed = rows.mapInArrow(counted, "n long")
    return {"read": median_seconds(rows), "python": median_seconds(passed)}


def counted(batches):
    for batch in batches:
        yield pa.RecordBatch.from_pydict({"n": pa.array([batch.num_rows], pa.int64())})


def median_seconds(frame):
    seconds = []
    for _ in range(FLOOR_TURNS):
        begin = time.perf_counter()
        frame.write.format("noop").mode("overwrite").save()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


# --- without Spark


def alone(source, out):
    """Prepare, learn and deliver, one after the other, each file as a task has it; its rows lie ready as Arrow before a clock ticks."""
    settings, spent, learning, rows = _windrow.settings_toml(_windrow.settings_json("")), Spent(), Spent(), 0
    form, target = chunks.Form("csv", ",", {}, 1 << 20), delivery.Target(out, "alone", 1, "alone")
    for family in ("pages", "rejects"):
        os.makedirs(os.path.join(out, family))
    learner = SimpleNamespace(_native=_windrow, model=_windrow.Model(settings))
    for path in sorted(glob.glob(os.path.join(source, "*.csv"))):
        lines = list(lines_of(path))
        with clocks(here := Spent(), "prepare"):
            made = list(chunks.prepare_files(form, settings, {})(iter(lines)))
        decided = {}
        for chunk in (chunk for batch in made for chunk in batch.to_pylist()):
            rows += chunk["n_rows"]
            data = learning.timed("learn", learn, learner, chunk["prepared"])
            decided[(chunk["source"], chunk["from"])] = delivery.Decided(0, chunk["n_pages"], zlib.crc32(data), data)
        with clocks(there := Spent(), "deliver"):
            list(delivery.deliver(target, {0: SimpleNamespace(value=decided)})(iter(made)))
        for part, seconds in [*here.seconds.items(), *there.seconds.items()]:
            spent.add(part, seconds)
    alive = learner.model.summary()["micro_clusters"]
    print(json.dumps({"rows": rows, "alive": alive, "processor": {**spent.seconds, **learning.seconds}}))


def learn(learner, prepared):
    """What the driver does with a chunk that has come."""
    return stream._ipc(stream._Learner.learn(learner, prepared, 0)[0])


def lines_of(path):
    """Lines of a file as Spark hands them out: batches of its URI and them."""
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")[:-1]
    for at in range(0, len(lines), BATCH_ROWS):
        some = lines[at : at + BATCH_ROWS]
        yield pa.RecordBatch.from_arrays([pa.array(["file://" + path] * len(some)), pa.array(some, pa.binary())], names=["file", "value"])


if __name__ == "__main__":
    mode, source, out, *numbers = sys.argv[1:]
    {"job": job, "alone": alone}[mode](source, out, *map(int, numbers))
