"""The Python package as its users have it: wheel.py WINDROW ROOT OUT

Installed from the wheel, beside pandas, Polars, pyarrow and Spark. WINDROW is the engine's program: the wheel must give what it gives, byte
for byte. Every check is a function; what one finds wrong ends the script. Prints one line.
"""

import contextlib
import csv
import datetime
import doctest
import glob
import io
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import traceback

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import windrow
from windrow import Clusterer, Model, Prepared, Preparer

PROGRAM, ROOT, OUT = sys.argv[1:]
SAMPLE = os.path.join(ROOT, "examples/data/sample_campaign_data_2023.csv")
COLUMNS = ["creation_time", "id", "url", "title", "keywords", "description"]
ANSWERS = ["cluster", "slot", "micro_cluster", "novel", "score", "label"]

with open(SAMPLE, encoding="utf-8", newline="") as file:
    ROWS = [{name: row[name] for name in COLUMNS} for row in csv.DictReader(file)]
ROWS = ROWS[:40] + [{"creation_time": "soon", "id": "x", "url": "", "title": 'a "quoted", title', "keywords": "", "description": ""}] + ROWS[40:]
TABLE = pa.Table.from_pylist(ROWS, schema=pa.schema([(name, pa.string()) for name in COLUMNS]))


def raises(kind, code, call):
    """The error that a call must end with."""
    try:
        call()
    except kind as error:
        assert (error.code, bool(error.hint)) == (code, True), (error.code, str(error))
        assert isinstance(error, windrow.Error)
        return str(error)
    raise AssertionError(f"no {kind.__name__} with {code}")


def engine(*args):
    done = subprocess.run([PROGRAM, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def with_ids(table, offsets, source=0):
    columns = {name: table[name] for name in table.column_names}
    columns["source"] = pa.array([source] * table.num_rows, pa.int32())
    columns["offset"] = pa.array(offsets, pa.int64())
    return pa.table(columns)


def snippets(about):
    """The Python of the how-to about Spark, or that about tables."""
    with open(os.path.join(ROOT, "docs/how-to/python.md"), encoding="utf-8") as file:
        found = re.findall(r"^```python\n(.*?)^```", file.read(), re.MULTILINE | re.DOTALL)
    return [text for text in found if ("windrow.spark" in text) == (about == "Spark")]


def examples_of_the_documentation_run():
    os.chdir(OUT)
    os.symlink(os.path.join(ROOT, "examples"), "examples")
    for text in snippets("tables"):
        exec(compile(text, "python.md", "exec"), {})
    import windrow._clusterer

    done = doctest.testmod(windrow._clusterer)
    assert done.attempted >= 6 and done.failed == 0, done


def any_table_gives_the_same():
    expected = Clusterer(clusters=20).learn_many(TABLE)
    assert expected.column_names == [*ANSWERS, "reject"]
    assert [reason for reason in expected["reject"].to_pylist() if reason] == ["bad_time"]
    assert expected["cluster"][40].as_py() is None and expected["cluster"].null_count == 1
    rows = expected.to_pylist()
    frame = Clusterer(clusters=20).learn_many(TABLE.to_pandas().set_index(pd.RangeIndex(7, 7 + len(ROWS))))
    assert isinstance(frame, pd.DataFrame) and frame.index[0] == 7
    assert str(frame["cluster"].dtype) == "Int32" and str(frame["micro_cluster"].dtype) == "Int64"
    assert pa.Table.from_pandas(frame, preserve_index=False).to_pylist() == rows
    # What else a table has is its owner's, whatever it is called.
    mine = pa.array([["a list"]] * len(ROWS))
    more = Clusterer(clusters=20).learn_many(TABLE.append_column("raw", mine).append_column("source", mine).append_column("offset", mine))
    assert more.to_pylist() == rows
    assert Clusterer().explain({**ROWS[0], "raw": ["a list"]})["novel"]
    frame = Clusterer(clusters=20).learn_many(pl.from_arrow(TABLE))
    assert isinstance(frame, pl.DataFrame) and frame.to_dicts() == rows
    cuts = Clusterer(clusters=20)
    pieces = [cuts.learn_many(TABLE.slice(at, 7)) for at in range(0, len(ROWS), 7)]
    assert pa.concat_tables(pieces).to_pylist() == rows, "how rows are cut changes nothing"
    again = Clusterer(clusters=20)
    again.learn_many(TABLE.to_batches()[0])
    # The record ids of the pieces are those of the whole.
    assert cuts.model.snapshot() == again.model.snapshot()


def columns_may_have_many_types():
    day = datetime.datetime(2023, 5, 17, 20, 21, 51, 500_000)
    texts = ["red shoes", None, "größe"]
    offsets = list(range(3))
    plain = pa.table({"creation_time": [day.isoformat(), None, None], "id": ["7", "", "9"], "title": texts})
    expected = pa.record_batch(Preparer().prepare(with_ids(plain, offsets)).pages())
    assert expected["title"].to_pylist() == ["red shoes", "größe"]
    assert expected["record_id"].to_pylist() == ["0:0", "0:2"]
    assert expected["creation_time"].to_pylist() == [day.replace(tzinfo=datetime.timezone.utc), None]
    kinds = [pa.large_string(), pa.binary(), pa.large_binary(), pa.dictionary(pa.int8(), pa.string())]
    kinds += [getattr(pa, name)() for name in ("string_view", "binary_view") if hasattr(pa, name)]
    times = [pa.timestamp("us"), pa.timestamp("ns", "UTC"), pa.timestamp("ms", "Europe/Berlin")]
    for kind in kinds:
        titles = pa.array(texts).dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else pa.array(texts, kind)
        for time in times:
            utc = day.replace(tzinfo=datetime.timezone.utc)
            stamps = pa.array([utc if time.tz else day, None, None], time)
            for ids in (pa.array([7, None, 9], pa.int64()), pa.array([7.0, float("nan"), 9.0])):
                table = pa.table({"creation_time": stamps, "id": ids, "title": titles})
                prepared = Preparer().prepare(with_ids(table, offsets))
                assert pa.record_batch(prepared.pages()).equals(expected), (kind, time, ids.type)
    raises(windrow.InvalidError, "E-INPUT-TYPE", lambda: Preparer().prepare(with_ids(pa.table({"title": [["a"]]}), [0])))


def rejects_keep_their_bytes():
    prepared = Preparer().prepare(with_ids(TABLE, range(100, 100 + len(ROWS))))
    assert (prepared.n_rows, prepared.n_pages) == (len(ROWS), len(ROWS) - 1)
    assert pa.record_batch(prepared.rejects()).to_pylist() == [
        {"record_id": "0:140", "reason": "bad_time", "raw": b'soon,x,,"a ""quoted"", title",,'}
    ]
    # In several batches, with bytes of their own, and with what is no UTF-8.
    bad = pa.table({"title": pa.array([b"a", b"\xff", b""], pa.binary()), "raw": pa.array([b"1", b"2\x00", b"3"])})
    table = pa.concat_tables([with_ids(bad, [0, 1, 2]), with_ids(bad, [3, 4, 5])])
    rejects = pa.record_batch(Preparer().prepare(table).rejects())
    assert rejects["reason"].to_pylist() == ["invalid_utf8", "empty_page"] * 2
    assert rejects["raw"].to_pylist() == [b"2\x00", b"3"] * 2 and rejects["record_id"].to_pylist() == ["0:1", "0:2", "0:4", "0:5"]
    rejects = pa.record_batch(Preparer().prepare(table.drop_columns(["raw"])).rejects())
    assert rejects["raw"].to_pylist() == [b",,,\xff,,", b",,,,,"] * 2


def batches_travel_as_bytes():
    prepared = Preparer().prepare(with_ids(TABLE, range(len(ROWS))))
    packed = prepared.to_bytes()
    unpacked = Prepared.from_bytes(packed)
    assert unpacked.to_bytes() == packed
    assert pa.record_batch(unpacked.pages()).equals(pa.record_batch(prepared.pages()))
    here, there = Model(), Model()
    assert pa.record_batch(here.learn(prepared)).equals(pa.record_batch(there.learn(unpacked)))
    assert here.snapshot() == there.snapshot()
    raises(windrow.DataError, "E-STATE-DAMAGED", lambda: Prepared.from_bytes(packed[:-1]))
    newer = packed[:8] + (99).to_bytes(4, "little") + packed[12:]
    raises(windrow.DataError, "E-STATE-NEWER", lambda: Prepared.from_bytes(newer))
    # What it gives outlives it.
    pages = pa.record_batch(unpacked.pages())
    del unpacked
    assert pages["title"].to_pylist() == [row["title"] for row in ROWS if row["creation_time"] != "soon"]


def texts_are_not_copied():
    """Out: columns of texts are what the native module holds. In: pieces of a table are looked at where they lie."""
    prepared = Preparer().prepare(with_ids(TABLE, range(len(ROWS))))
    one, other = (pa.record_batch(prepared.pages()) for _ in range(2))
    for name in ("id", "url", "title", "keywords", "description", "domain"):
        # Of a text column the last buffer is the text.
        assert one[name].buffers()[-1].address == other[name].buffers()[-1].address, name
    table = pa.concat_tables([TABLE, TABLE])
    pieces = windrow._clusterer._batches(table)
    assert [piece.num_rows for piece in pieces] == [len(ROWS)] * 2
    for at, piece in enumerate(pieces):
        for name in COLUMNS:
            assert piece[name].buffers()[-1].address == table[name].chunk(at).buffers()[-1].address, name


def errors_say_what_to_do():
    said = raises(windrow.InvalidError, "E-SETTINGS", lambda: Clusterer(settings="[model]\nclusterz = 3"))
    assert "line 2" in said and "clusters" in said, said
    raises(windrow.InvalidError, "E-SETTINGS", lambda: Clusterer(clusters=0))
    raises(windrow.InvalidError, "E-SETTINGS", lambda: Clusterer(clusters="many"))
    # As many as there are: of 1,000 slots, and not of the default's 50.
    auto = Clusterer(clusters="auto")
    assert auto.learn_many(TABLE).num_rows == TABLE.num_rows
    assert json.loads(windrow._windrow.settings_json(auto.model.settings))["model"]["clusters"] == "auto"
    raises(windrow.InvalidError, "E-SETTINGS", lambda: Clusterer(clusters=3, settings="[model]\nseed = 2"))
    original = '[model]\nkind = "original"'
    raises(windrow.InvalidError, "E-SETTINGS", lambda: Clusterer(settings=original))
    with open(os.path.join(OUT, "original.bin"), "wb") as file:
        file.write(Model(original).snapshot())
    raises(windrow.InvalidError, "E-SETTINGS", lambda: Clusterer.load(file.name))
    raises(windrow.InvalidError, "E-INPUT-TYPE", lambda: Clusterer().learn_many([1, 2]))
    said = raises(windrow.InvalidError, "E-INPUT-COLUMNS", lambda: Clusterer().learn_many(pa.table({"headline": ["x"]})))
    assert "headline" in said, said
    raises(windrow.InvalidError, "E-INPUT-ROW", lambda: Clusterer().explain({"title": " "}))
    raises(windrow.InvalidError, "E-INPUT-COLUMNS", lambda: Preparer().prepare(TABLE))
    raises(windrow.InvalidError, "E-INPUT-COLUMNS", lambda: Preparer().prepare(with_ids(TABLE.slice(0, 1), [-1])))
    raises(windrow.InvalidError, "E-EDIT", lambda: Model().rename(5, "x"))
    raises(windrow.DataError, "E-STATE-DAMAGED", lambda: Model.restore(b"no model"))
    raises(windrow.MachineError, "E-IO", lambda: Clusterer.load(os.path.join(OUT, "none")))
    raises(windrow.MachineError, "E-WRITE", lambda: Clusterer().save(os.path.join(OUT, "none", "model")))
    assert issubclass(windrow.InvalidError, ValueError) and issubclass(windrow.FencedError, windrow.Error)
    error = pickle.loads(pickle.dumps(windrow.DataError("m", "E-X", "h")))
    assert (error.code, error.hint, str(error)) == ("E-X", "h", "[E-X] m (hint: h)")


def model_is_the_engines():
    out = os.path.join(OUT, "engine")
    engine("run", "--quiet", "--input", SAMPLE, "--out", out, "--clusters", "20")
    pages = pq.read_table(f"{out}/pages")
    ids = [record_id.split(":") for record_id in pages["record_id"].to_pylist()]
    rows = with_ids(pages.select(COLUMNS), [int(offset) for _, offset in ids])
    model, prepared = Model("[model]\nclusters = 20"), Preparer().prepare(rows)
    learnt = pa.table(model.learn(prepared))
    for name in ANSWERS:
        assert learnt[name].to_pylist() == pages[name].to_pylist(), name
    assert pa.table(prepared.pages())["domain"].to_pylist() == pages["domain"].to_pylist()
    happened = pq.read_table(f"{out}/lineage").drop_columns(["epoch"])
    assert pa.table(model.lineage()).to_pylist() == happened.to_pylist() and happened.num_rows > 20
    (snapshot,) = glob.glob(f"{out}/.windrow/snapshots/model-*.bin")
    with open(snapshot, "rb") as file:
        framed = file.read()
    assert framed.endswith(model.snapshot()), "the engine's model, byte for byte"
    assert Model.restore(framed).snapshot() == model.snapshot()
    # The engine's model goes on learning here as it would there.
    loaded = Clusterer.load(snapshot)
    assert loaded.model.settings == model.settings and loaded.model.position == pages.num_rows
    assert loaded.model.summary() == model.summary()
    shown = {cluster["cluster"]: cluster["delivered"] for cluster in map(json.loads, engine("clusters", "-o", "json", "--out", out).splitlines())}
    assert {cluster["cluster"]: cluster["pages"] for cluster in model.summary()["clusters"]} == shown
    path = os.path.join(OUT, "model.bin")
    loaded.save(path)
    raises(windrow.InvalidError, "E-SETTINGS-STATE", lambda: Clusterer.load(path, settings="[model]\nclusters = 21"))
    assert Clusterer.load(path, settings=model.settings + "[features]\nhost = 1").model.position == model.position
    assert Clusterer.load(path).model.snapshot() == model.snapshot() and not os.path.exists(path + ".tmp")
    before = model.snapshot()
    placed = pa.table(model.assign(prepared))
    assert model.snapshot() == before, "assigning teaches nothing"
    alive = {cluster["cluster"] for cluster in model.summary()["clusters"]}
    assert placed["cluster"].null_count == 0 and set(placed["cluster"].to_pylist()) <= alive
    assert pa.table(Model().assign(prepared))["cluster"].null_count == pages.num_rows, "a new model knows nothing"
    # Reasons add up, and name what assign gives.
    for row, place in enumerate(placed.to_pylist()):
        reasons = model.explain(prepared, row)
        assert reasons["novel"] == place["novel"]
        if not place["novel"] and reasons["winner"]:
            winner = reasons["winner"]
            assert (winner["micro_cluster"], winner["label"] is not None) == (place["micro_cluster"], True)
            assert abs(min(1, sum(part["share"] for part in winner["parts"])) - winner["score"]) < 1e-5
    model.rename(placed["cluster"][0].as_py(), "named by hand")
    model.pin(placed["cluster"][0].as_py())
    assert pa.table(model.lineage())["event"].to_pylist() == ["pinned"]
    assert pa.table(model.assign(prepared))["label"][0].as_py() == "named by hand"


def kept_columns_are_the_engines():
    out = os.path.join(OUT, "kept")
    with open(os.path.join(OUT, "kept.csv"), "w", encoding="utf-8") as file:
        file.write("title,spend\nred shoes,1.5\nblue shoes,\nvote on the budget,n/a\n")
    engine("run", "--quiet", "--input", file.name, "--keep", "spend", "--out", out)
    pages = pq.read_table(f"{out}/pages")
    offsets = [int(record_id.split(":")[1]) for record_id in pages["record_id"].to_pylist()]
    prepared = Preparer(keep=["spend"]).prepare(with_ids(pages.select([*COLUMNS, "spend"]), offsets))
    assert pa.table(prepared.pages())["spend"].to_pylist() == ["1.5", "", "n/a"]
    model = Model(keep=["spend"])
    model.learn(Prepared.from_bytes(prepared.to_bytes(), keep=["spend"]))
    (snapshot,) = glob.glob(f"{out}/.windrow/snapshots/model-*.bin")
    with open(snapshot, "rb") as file:
        assert file.read().endswith(model.snapshot())
    assert Model.restore(model.snapshot()).keep == ["spend"]
    raises(windrow.InvalidError, "E-SETTINGS", lambda: Model().learn(prepared))
    raises(windrow.InvalidError, "E-INPUT-COLUMNS", lambda: Preparer(keep=["cost"]).prepare(with_ids(TABLE, range(len(ROWS)))))


def settings_are_the_engines():
    """Names, limits and words of the engine's reference, one by one; and its settings file as a whole."""
    checked, section = 0, ""
    with open(os.path.join(ROOT, "docs/reference/settings.md"), encoding="utf-8") as file:
        for line in file:
            section = line.strip("#[ ]\n") if line.startswith("## [") else section
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
            if section not in ("model", "watch", "clean", "features") or not line.startswith("| `"):
                continue
            name, takes, default = cells[1].strip("`"), cells[3], cells[4].strip("`")
            head = f"[{section}]\n"
            Model(f"{head}{name} = {default}"), Preparer(f"{head}{name} = {default}")
            limits = re.search(r"number from (\d+)(?: to (\d+))?", takes)
            if limits:
                least, most = int(limits.group(1)), limits.group(2)
                others = '\nmax_micro_clusters = 10000000' if name == "clusters" else '\nclusters = 1' if name == "max_micro_clusters" else ""
                for good in [least, *([int(most)] if most else [])]:
                    Preparer(f"{head}{name} = {good}{others}")
                for bad in [least - 1, *([int(most) + 1] if most and int(most) < 2**63 else [])]:
                    raises(windrow.InvalidError, "E-SETTINGS", lambda bad=bad: Preparer(f"{head}{name} = {bad}{others}"))
            raises(windrow.InvalidError, "E-SETTINGS", lambda: Preparer(f"{head}{name}z = {default}"))
            checked += 1
    assert checked >= 19, checked
    assert Model().settings == Model(Model().settings).settings
    starter = engine("init", "--print") if "--print" in engine("init", "--help") else ""
    if starter:
        Preparer(starter)
    Preparer('[source]\ninput = ["x"]\n[kafka]\n"bootstrap.servers" = "b:9092"\n[model]\nkind = "kmeans"\nkmeans.half_life = "6h"')
    raises(windrow.InvalidError, "E-SETTINGS", lambda: Preparer("[sauce]\ninput = 3"))
    rules = Preparer('[clean]\nrequired = "title, url"\nmax_length = "title=20"')
    rejects = pa.table(rules.prepare(with_ids(pa.table({"title": ["short", "x" * 21], "url": [None, "http://a.example"]}), [0, 1])).rejects())
    assert rejects["reason"].to_pylist() == ["missing_field", "field_too_long"]


def threads_work_side_by_side():
    """One preparer and one model under many threads: no answer is lost, and nothing waits for ever."""
    preparer, model, prepared = Preparer(), Model(), Preparer().prepare(with_ids(TABLE, range(len(ROWS))))
    failed = []

    def work():
        try:
            for _ in range(20):
                assert preparer.prepare(with_ids(TABLE, range(len(ROWS)))).n_pages == prepared.n_pages
                model.learn(prepared)
                model.assign(prepared)
        except BaseException:
            failed.append(traceback.format_exc())

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join(timeout=120) for thread in threads]
    assert not failed and not any(thread.is_alive() for thread in threads), failed
    assert model.position == 80 * prepared.n_pages


def spark_learns_and_assigns():
    from pyspark.ml import Pipeline, PipelineModel
    from pyspark.ml.feature import HashingTF, SQLTransformer, Tokenizer
    from pyspark.sql import SparkSession

    from windrow.spark import WindrowClusterer, WindrowClustererModel

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "America/New_York")
        .config("spark.sql.warehouse.dir", os.path.join(OUT, "warehouse"))
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    schema = ", ".join(f"{name} string" for name in COLUMNS)
    frame = spark.createDataFrame([tuple(row[name] for name in COLUMNS) for row in ROWS], schema).coalesce(1)
    model = WindrowClusterer().fit(frame)
    answers = model.transform(frame)
    assert answers.columns == [*COLUMNS, "cluster", "micro_cluster"]
    rows = answers.collect()
    assert [row["title"] for row in rows] == [row["title"] for row in ROWS], "rows stay, in their order"
    assert [row["cluster"] is None for row in rows] == [row["creation_time"] == "soon" for row in ROWS], "null for the reject alone"

    # The same as here, without Spark: the model byte for byte, and what it assigns.
    here = Clusterer()
    here.learn_many(TABLE)
    assert model.snapshot == here.model.snapshot()
    placed = here.assign(TABLE).to_pylist()
    assert [(row["cluster"], row["micro_cluster"]) for row in rows] == [(it["cluster"], it["micro_cluster"]) for it in placed]

    # Another model: MLlib's rule for K-Means.
    rule = '[model]\nkind = "kmeans"\nkmeans.rule = "spark"'
    here = Clusterer(settings=rule)
    here.learn_many(TABLE)
    by_rule = WindrowClusterer(settings=rule).fit(frame)
    assert by_rule.snapshot == here.model.snapshot()
    assert [row["cluster"] for row in by_rule.transform(frame).collect()] == here.assign(TABLE)["cluster"].to_pylist()

    # In the order of a column, whatever the partitions.
    ordered = sorted((row for row in ROWS if row["creation_time"] != "soon"), key=lambda row: row["creation_time"])
    assert len({row["creation_time"] for row in ordered}) == len(ordered)
    shuffled = spark.createDataFrame([tuple(row[name] for name in COLUMNS) for row in ordered[::-1]], schema)
    by_time = WindrowClusterer(k=20, orderCol="creation_time").fit(shuffled.repartition(3))
    one, other = Model("[model]\nclusters = 20"), by_time.summary()
    one.learn(Preparer().prepare(with_ids(pa.Table.from_pylist(ordered), range(len(ordered)))))
    assert [c["label"] for c in one.summary()["clusters"]] == [c["label"] for c in other["clusters"]]

    # Other names, other types, more columns, in a pipeline that is saved and loaded.
    renamed = frame.selectExpr("title as name", "url as `landing.page`", "try_cast(creation_time as timestamp) as day", "array(id) as more")
    estimator = WindrowClusterer(titleCol="name", urlCol="landing.page", creationTimeCol="day", clusterCol="theme", seed=3)
    estimator.setParams(scoreCol="score", novelCol="novel", labelCol="label", slotCol="slot", rejectCol="why")
    pipeline = Pipeline(stages=[SQLTransformer(statement="select * from __THIS__ where name is not null"), estimator])
    pipeline.write().overwrite().save(os.path.join(OUT, "pipeline"))
    fitted = Pipeline.load(os.path.join(OUT, "pipeline")).fit(renamed)
    fitted.write().overwrite().save(os.path.join(OUT, "fitted"))
    loaded = PipelineModel.load(os.path.join(OUT, "fitted"))
    before, after = fitted.transform(renamed).collect(), loaded.transform(renamed).collect()
    assert before == after and len(after) == len(ROWS)
    assert after[0].asDict().keys() == {"name", "landing.page", "day", "more", "theme", "micro_cluster", "slot", "score", "novel", "label", "why"}
    assert after[0]["label"] and 0 <= after[0]["score"] <= 1 and after[0]["novel"] in (True, False) and after[0]["why"] is None
    model.write().overwrite().save(os.path.join(OUT, "model"))
    assert WindrowClustererModel.load(os.path.join(OUT, "model")).snapshot == model.snapshot
    # Columns of other kinds pass through; a model of nothing knows nothing.
    words = Tokenizer(inputCol="title", outputCol="words").transform(frame.na.fill(""))
    vectors = HashingTF(inputCol="words", outputCol="vector").transform(words)
    assert model.transform(vectors).select("vector").collect() == vectors.select("vector").collect()
    empty = WindrowClusterer().fit(frame.limit(0))
    assert empty.summary()["pages"] == 0 and empty.transform(frame).select("cluster").distinct().collect() == [(None,)]
    copied = model.copy({model.clusterCol: "c"})
    assert copied.transform(frame).columns[-2:] == ["c", "micro_cluster"] and model.getOrDefault("clusterCol") == "cluster"

    for text in snippets("Spark"):
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            exec(compile(text, "python.md", "exec"), {"frame": frame})
        assert "micro_cluster" in shown.getvalue()

    raises(windrow.InvalidError, "E-INPUT-COLUMNS", lambda: WindrowClusterer(titleCol="none").fit(frame))
    raises(windrow.InvalidError, "E-INPUT-COLUMNS", lambda: model.transform(answers))
    raises(windrow.InvalidError, "E-SETTINGS", lambda: WindrowClusterer(k=0).fit(frame))
    raises(windrow.InvalidError, "E-SETTINGS", lambda: WindrowClusterer(settings='[model]\nkind = "original"').fit(frame))
    raises(windrow.InvalidError, "E-SETTINGS", lambda: WindrowClusterer(k=3, settings="[model]\nseed = 3").fit(frame))
    spark.stop()


def spark_learns_and_assigns_on_executors():
    """Processes of their own, which have the package from the environment that PYSPARK_PYTHON names."""
    from pyspark.ml import Pipeline, PipelineModel
    from pyspark.sql import SparkSession

    from windrow.spark import WindrowClusterer

    spark = SparkSession.builder.master("local-cluster[2,1,1024]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    rows, schema = [tuple(row[name] for name in COLUMNS) for row in ROWS], ", ".join(f"{name} string" for name in COLUMNS)
    frame = spark.createDataFrame(rows, schema)
    Pipeline(stages=[WindrowClusterer()]).fit(frame.coalesce(1)).write().overwrite().save(os.path.join(OUT, "on-executors"))
    loaded = PipelineModel.load(os.path.join(OUT, "on-executors"))
    answers = [tuple(row) for row in loaded.transform(frame.repartition(4)).collect()]
    spark.stop()
    here = Clusterer()
    here.learn_many(TABLE)
    assert loaded.stages[0].snapshot == here.model.snapshot()
    placed = zip(rows, here.assign(TABLE).to_pylist())
    assert sorted(answers, key=str) == sorted((row + (it["cluster"], it["micro_cluster"]) for row, it in placed), key=str)


CHECKS = [
    examples_of_the_documentation_run,
    any_table_gives_the_same,
    columns_may_have_many_types,
    rejects_keep_their_bytes,
    batches_travel_as_bytes,
    texts_are_not_copied,
    errors_say_what_to_do,
    model_is_the_engines,
    kept_columns_are_the_engines,
    settings_are_the_engines,
    threads_work_side_by_side,
    spark_learns_and_assigns,
    spark_learns_and_assigns_on_executors,
]
for check in CHECKS:
    check()
versions = {name: sys.modules[name].__version__ for name in ("pyspark", "pandas", "polars", "pyarrow")}
print(f"{len(CHECKS)} checks of windrow {windrow.__version__} on Python {sys.version.split()[0]},", ", ".join(f"{k} {v}" for k, v in versions.items()))
