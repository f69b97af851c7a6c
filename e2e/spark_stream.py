"""Structured Streaming from outside: the same answers as the engine, and nothing lost or doubled whatever happens.

    spark_stream.py WINDROW FOLDER DATA PART...       parts: parity switch sample checkpoints cluster faults, each also as NAME:full; kafka old

Each check says what it saw; the first that does not hold ends the script.
"""

import datetime
import glob
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import duckdb
import pyarrow.parquet as parquet

WINDROW, FOLDER, DATA = sys.argv[1:4]
DEADLINE_S = 240
SMALL = {"spark.driver.memory": "1g", "spark.executor.memory": "1g", "spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.sql.shuffle.partitions": "4"}


def say(text):
    print(text, flush=True)


def check(holds, text):
    if not holds:
        raise SystemExit("FAILED: " + text)
    say("ok: " + text)


def place(name):
    path = os.path.join(FOLDER, name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def wait_for(what, condition, process=None):
    """Waits until it holds; a process that ends before it does is told."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if process is not None and process.poll() is not None:
            raise SystemExit("FAILED: the job ended with %s while it was waited for: %s" % (process.returncode, what))
        if time.monotonic() > deadline:
            raise SystemExit("FAILED: waited %d s for: %s" % (DEADLINE_S, what))
        time.sleep(0.05)


# --- data, and answers


def rows_of(name, most=None):
    """Header and records of a set; none of those taken spans lines."""
    with gzip.open(os.path.join(DATA, name + ".csv.gz"), "rb") as file:
        lines = file.read().split(b"\n")
    header, lines = lines[0], [line for line in lines[1:] if line]
    return header, lines[:most]


def cut(name, folder, n, most=None):
    """The set as n files."""
    header, lines = rows_of(name, most)
    size = -(-len(lines) // n)
    for at in range(n):
        path = os.path.join(folder, "part-%02d.csv" % at)
        with open(path, "wb") as file:
            file.write(b"\n".join([header, *lines[at * size : (at + 1) * size], b""]))
        # Spark takes the oldest files first.
        os.utime(path, (1_600_000_000 + at, 1_600_000_000 + at))
    return len(lines)


LINEAGE = "select position, event, cluster, slot, micro_cluster, label from '{out}/lineage/*.parquet' order by all"


def query(out, sql):
    with duckdb.connect() as database:
        return database.execute(sql.format(out=out)).fetchall()


def shape(out, family):
    """Names, types and nullability of the columns of a family's files, without what Spark and the engine say of themselves."""
    schemas = {str(parquet.read_schema(path).remove_metadata()) for path in glob.glob("%s/%s/*.parquet" % (out, family))}
    if len(schemas) != 1:
        raise SystemExit("FAILED: %s of %s have other columns from file to file: %s" % (family, out, schemas))
    return schemas.pop()


def same(what, one, other, columns="*"):
    """Both outputs hold the same pages with the same answers: all columns, or these, under one schema."""
    sql = "select count(*) from (select {columns} from '{a}/pages/*.parquet' except all select {columns} from '{b}/pages/*.parquet')"
    differ = [query("", sql.format(columns=columns, a=a, b=b))[0][0] for a, b in ((one, other), (other, one))]
    shapes = [shape(out, "pages") for out in (one, other)]
    if shapes[0] != shapes[1]:
        raise SystemExit("FAILED: %s: other columns\n%s\n\n%s" % (what, *shapes))
    pages = query(one, "select count(*), count(distinct record_id) from '{out}/pages/*.parquet'")[0]
    check(differ == [0, 0] and pages[0] == pages[1], "%s: %d pages, the same answers" % (what, pages[0]))


def engine(inputs, out, *more):
    call = [WINDROW, "run", *(part for path in inputs for part in ("--input", path)), "--out", out, "--no-serve", *more]
    done = subprocess.run(call, capture_output=True, text=True)
    check(done.returncode == 0, "windrow run %s%s" % (" ".join(map(os.path.basename, inputs)), "" if done.returncode == 0 else "\n" + done.stderr))


def audit(out, *more):
    done = subprocess.run([WINDROW, "audit", "--out", out, "-o", "json", *more], capture_output=True, text=True)
    report = json.loads(done.stdout) if done.stdout.strip().startswith("{") else {"error": done.stderr}
    counts = {key: report.get(key) for key in ("lost", "duplicated", "disagreeing")}
    check(done.returncode == 0 and set(counts.values()) == {0}, "audit of %s: %s" % (os.path.basename(os.path.dirname(out)), report if done.returncode else counts))


def manifest(out):
    path = os.path.join(out, ".windrow", "files.json")
    return json.load(open(path))["body"] if os.path.exists(path) else {"epoch": 0, "counters": {"rows": 0}}


def model_of(out):
    """The hash of the model at the last commit."""
    return manifest(out)["snapshots"][-1]["model"]


# --- jobs


def command(master, out, checkpoint, options, *more, conf=None):
    pairs = ["--option=%s=%s" % pair for pair in options.items()]
    settings = ["--conf=%s=%s" % pair for pair in {**SMALL, **(conf or {})}.items()]
    kind = "kafka" if "subscribe" in options else "csv"
    return [sys.executable, "-m", "windrow.spark.job", "--master", master, "--format", kind, *pairs, *settings, "--out", out, "--checkpoint", checkpoint, *more]


def start(call, log):
    environment = dict(os.environ, PYSPARK_PYTHON=call[0])
    return subprocess.Popen(call, stdout=open(log, "ab"), stderr=subprocess.STDOUT, env=environment, start_new_session=True)


def finish(call, log):
    """Runs a job to its end, and gives its exit code and what it said last."""
    process = start(call, log)
    try:
        process.wait(DEADLINE_S)
    except subprocess.TimeoutExpired:
        kill(process)
        raise SystemExit("FAILED: the job did not end:\n" + tail(log)) from None
    return process.returncode, tail(log)


def tail(log):
    return "\n".join(open(log, errors="replace").read().splitlines()[-25:])


def kill(process):
    """Kills a job, driver, JVM and executors, at once. It leads a session of its own, so nobody else's are hit."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def children(pid, word):
    """Processes below this one whose command line holds the word."""
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            stat = open(path).read()
            session = int(stat.rpartition(")")[2].split()[3])
            below = int(path.split("/")[2])
            if session == pid and word in open("/proc/%d/cmdline" % below).read():
                found.append(below)
        except (OSError, ValueError):
            continue
    return found


def session(master="local[2]", **conf):
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(master).appName("windrow")
    for key, value in {**SMALL, **conf}.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def stream(spark, folder, inputs, kind="csv", columns="", settings="", **options):
    from windrow.spark import ClusterStream

    out = os.path.join(folder, "out")
    ClusterStream(spark, kind, {"path": inputs, **options}, out, os.path.join(folder, "checkpoint"), columns=columns, settings=settings).run(availableNow=True)
    return out


# --- parts


def parity(full):
    spark = session()
    links, news = "links_stream_2012_2023", "google_news_2013"
    sets = [(links, None, 1), (links, None, 2), (links, None, 4), (news, None, 1), (news, None, 2)] if full else [(links, 20_000, 2), (news, None, 1)]
    for name, most, n in [*sets, (news, None, 4)]:
        folder, inputs = place("%s-%d" % (name, n)), place("%s-%d-in" % (name, n))
        n_rows = cut(name, inputs, n, most)
        out = stream(spark, folder, inputs)
        engine([inputs], os.path.join(folder, "engine"))
        same("%s, %d rows in %d files" % (name, n_rows, n), out, os.path.join(folder, "engine"))
        check(model_of(out) == model_of(os.path.join(folder, "engine")), "and the same model, byte by byte")
        audit(out)
    batches = place("batches")
    out = stream(spark, batches, inputs, maxFilesPerTrigger="1")
    same("the same files in %d batches" % manifest(out)["epoch"], out, os.path.join(folder, "engine"))
    check(query(out, LINEAGE) == query(os.path.join(folder, "engine"), LINEAGE), "and the same lineage")
    kmeans(spark, inputs)
    messy(spark)
    shapes(spark)
    spark.stop()


def kmeans(spark, inputs):
    """Another model, with another state: MLlib's published rule."""
    folder = place("kmeans")
    settings, theirs = os.path.join(folder, "windrow.toml"), os.path.join(folder, "engine")
    with open(settings, "w") as file:
        file.write('[model]\nkind = "kmeans"\nkmeans.rule = "spark"\n')
    out = stream(spark, folder, inputs, settings=open(settings).read(), maxFilesPerTrigger="2")
    engine([inputs], theirs, "--config", settings)
    same("kmeans by Spark's rule", out, theirs)
    check(model_of(out) == model_of(theirs), "and the same model")
    audit(out)


def shapes(spark):
    """The same rows as JSON Lines under other names; and as Parquet."""
    inputs, lines, folder = place("shapes-in"), place("shapes-lines"), place("shapes-of-lines")
    cut("google_news_2013", inputs, 1, 3000)
    rows = "from read_csv('%s/*.csv', all_varchar = true)" % inputs
    query("", "copy (select title as name, * exclude title %s) to '%s/a.jsonl' (format json)" % (rows, lines))
    out, theirs = stream(spark, folder, lines, "json", "title=name"), os.path.join(folder, "engine")
    engine([lines], theirs, "--columns", "title=name")
    same("JSON Lines under other names", out, theirs)
    check(model_of(out) == model_of(theirs), "and the same model")
    audit(out)
    tables(spark, rows)


def tables(spark, rows):
    """Parquet with columns that are no texts, and rows that are none: Spark reads a file, the engine the next, Spark the last."""
    folder, inputs = place("tables"), place("tables-in")
    out, undisturbed = os.path.join(folder, "out"), os.path.join(folder, "engine")
    names = "try_cast(creation_time as timestamp) + interval 5 milliseconds as \"Creation_Time\", id::bigint as id, url, title as name, encode(description) as description"
    broken = "select 7 as id union all by name select 8 as id, '\\x08\\x09\\x22\\x5C\\xFF'::blob as description"
    for at in range(3):
        path = os.path.join(inputs, "part-%d.parquet" % at)
        query("", "copy (select * from (select %s %s limit 900 offset %d) union all by name %s) to '%s'" % (names, rows, 900 * at, broken, path))
        if at == 1:
            engine([inputs], out, "--columns", "title=name")
        else:
            stream(spark, folder, inputs, "parquet", "title=name")
    engine([inputs], undisturbed, "--columns", "title=name")
    same("Parquet: Spark, engine, Spark", out, undisturbed)
    check(model_of(out) == model_of(undisturbed), "and the same model")
    check(query(out, REJECTS) == query(undisturbed, REJECTS) and len(query(out, REJECTS)) == 6, "and the same rejects")
    audit(out)


REJECTS = "select record_id, reason, raw, source from '{out}/rejects/*.parquet' order by all"


def messy(spark):
    """Rows that are none: the same rejects as the engine, byte by byte."""
    folder, inputs = place("messy"), place("messy-in")
    header, lines = rows_of("google_news_2013", 2000)
    broken = [b'2014-01-01,1,"never closed', b"a,b", header, b"\xff\xfe,2,u,t\xff,k,d", b"soon,3,u,t,k,d", b",,,,,", b'x,4,u,"a ""b"" c",k,"two', b'lines"', b"", b"\xef\xbb\xbf"]
    for at, line in enumerate(broken):
        lines[at * 150 : at * 150] = [line]
    with open(os.path.join(inputs, "a b%.csv"), "wb") as file:
        file.write(b"\r\n".join([header, *lines]))
    with open(os.path.join(inputs, "b.csv"), "wb") as file:
        file.write(b"\xef\xbb\xbf" + b"\n".join([header, *lines]))
    with gzip.open(os.path.join(inputs, "c.csv.gz"), "wb") as file:
        file.write(b"\n".join([header, *lines, b""]))
    out = stream(spark, folder, inputs)
    engine([inputs], os.path.join(folder, "engine"))
    same("files with a BOM, CR LF, gzip and odd names", out, os.path.join(folder, "engine"))
    ours, theirs = query(out, REJECTS), query(os.path.join(folder, "engine"), REJECTS)
    check(ours == theirs and len(ours) > 15, "%d rejects, the same as the engine's" % len(ours))
    audit(out)
    verbs = [["status", "--out", out], ["clusters", "--out", out], ["export", "--cluster", "0", "--folder", out, "--out", os.path.join(folder, "x.csv")]]
    verbs += [["plot", "messages", "--folder", out, "--out", os.path.join(folder, "x.svg")], ["state", "verify", "--out", out]]
    verbs += [["explain", "--out", out, "--id", query(out, "select id from '{out}/pages/*.parquet' limit 1")[0][0]], ["rejects", "list", "--out", out]]
    verbs += [["changes", "--since", "1", "--out", out], ["tail", "--last", "5", "--out", out]]
    for verb in verbs:
        done = subprocess.run([WINDROW, *verb], capture_output=True, text=True)
        said = done.stdout or done.stderr
        check(done.returncode == 0 and said.strip(), "windrow %s%s" % (verb[0], done.stderr if done.returncode else ""))


def switch(full):
    """Begun by the engine, continued by Spark, and back."""
    folder, inputs, spare = place("switch"), place("switch-in"), place("switch-spare")
    out, undisturbed = os.path.join(folder, "out"), os.path.join(folder, "engine")
    cut("google_news_2013", spare, 3)
    parts = sorted(os.listdir(spare))
    shutil.copy(os.path.join(spare, parts[0]), inputs)
    engine([inputs], out)
    shutil.copy(os.path.join(spare, parts[1]), inputs)
    spark = session()
    stream(spark, folder, inputs)
    check(manifest(out)["counters"]["rows"] == 2 * manifest(out)["snapshots"][0]["counters"]["rows"], "Spark took what the engine had not")
    shutil.copy(os.path.join(spare, parts[2]), inputs)
    engine([inputs], out)
    engine([spare], undisturbed)
    same("engine, Spark, engine", out, undisturbed)
    check(model_of(out) == model_of(undisturbed), "and the same model")
    audit(out)
    edited(spark, folder, inputs, out)
    spark.stop()


def edited(spark, folder, inputs, out):
    """A name that a user gives while the job holds the state is the job's to take."""
    from windrow.spark import ClusterStream

    cluster = query(out, "select cluster from '{out}/pages/*.parquet' group by 1 order by count(*) desc limit 1")[0][0]
    kept = os.path.join(folder, "checkpoint")
    with ClusterStream(spark, "csv", {"path": inputs}, out, kept) as held:
        done = subprocess.run([WINDROW, "clusters", "rename", str(cluster), "by hand", "--out", out], capture_output=True, text=True)
        check(done.returncode == 0, "windrow clusters rename, beside the job: %s" % done.stderr.strip())
        header, lines = rows_of("google_news_2013", 3000)
        with open(os.path.join(inputs, "z.csv"), "wb") as file:
            file.write(b"\n".join([header, *lines, b""]))
        held.run(availableNow=True)
    named = query(out, "select count(*) from '{out}/pages/*.parquet' where label = 'by hand' and cluster = %d" % cluster)[0][0]
    events = query(out, "select event, label from '{out}/lineage/*.parquet' where event = 'renamed'")
    check(named > 0 and events == [("renamed", "by hand")], "%d pages under the name that was given" % named)
    audit(out)


SAMPLED = "links_stream_2012_2023"


def sample(full):
    """Where the driver learns from a sample: the same in any partitions, whole in its counts, and after kills; and others go on with it."""
    spark, outs = session("local[4]"), {}
    for n in (1, 2, 4):
        outs[n] = in_two_batches(spark, n)
    for n in (2, 4):
        same("the same batches, the second in %d files" % n, outs[1], outs[n], "* exclude (record_id)")
        check(query(outs[1], LINEAGE) == query(outs[n], LINEAGE), "and the same lineage")
    counted(outs[4])
    goes_on(spark, outs[4])
    refused_samples(spark)
    spark.stop()
    sample_killed()


def write(path, name, rows, most):
    """Some rows of a set as a file."""
    header, lines = rows_of(name, most)
    with open(path, "wb") as file:
        file.write(b"\n".join([header, *lines[rows], b""]))


def in_two_batches(spark, n):
    """The first batch, from which all is learnt, in one file; the second in n."""
    folder, inputs = place("sample-%d" % n), place("sample-%d-in" % n)
    write(os.path.join(inputs, "a.csv"), SAMPLED, slice(0, 6_000), 12_000)
    learnt(spark, folder, inputs)
    for at in range(n):
        size = 6_000 // n
        write(os.path.join(inputs, "b%d.csv" % at), SAMPLED, slice(6_000 + at * size, 6_000 + (at + 1) * size), 12_000)
    n_pages, n_learnt = learnt(spark, folder, inputs)
    check(0 < n_learnt < n_pages, "%d of the second batch's %d pages reached the driver" % (n_learnt, n_pages))
    return os.path.join(folder, "out")


def learnt(spark, folder, inputs, learn="sample", **options):
    """Runs what is there; gives the pages, and those of them that the driver learnt."""
    from windrow.spark import ClusterStream

    job = ClusterStream(spark, "csv", {"path": inputs, **options}, os.path.join(folder, "out"), os.path.join(folder, "checkpoint"), learn=learn)
    job.run(availableNow=True)
    return job.pages, job.learnt


def counted(out):
    """What is told of clusters is what they were given, learnt or not; and none was given a page before its birth or behind its death."""
    audit(out)
    done = subprocess.run([WINDROW, "clusters", "--out", out, "-o", "json"], capture_output=True, text=True)
    told = {one["cluster"]: one["delivered"] for one in map(json.loads, done.stdout.splitlines())}
    pages = dict(query(out, "select cluster, count(*) from '{out}/pages/*.parquet' group by 1"))
    check(told and told == {cluster: pages.get(cluster, 0) for cluster in told}, "windrow clusters tells the %d pages of %d clusters as the Parquet does" % (sum(told.values()), len(told)))
    ended = {row[0] for row in query(out, "select cluster from '{out}/lineage/*.parquet' where event = 'cluster_died'")}
    check(set(pages) <= set(told) | ended, "and every other cluster has died")
    rows = "select count(*), sum(novel::int) from '{out}/pages/*.parquet'"
    counts = manifest(out)["counters"]
    check(query(out, rows)[0] == (counts["pages"], counts["novel"]), "the manifest counts %d pages, %d of them novel" % (counts["pages"], counts["novel"]))


def goes_on(spark, out):
    """The engine, and a job that learns all pages, go on with the model alike; and a job that learns from a sample goes on behind them."""
    folder, inputs = os.path.dirname(out), out.replace("/out", "-in")
    other = place("sample-other")
    for name in ("out", "checkpoint"):
        shutil.copytree(os.path.join(folder, name), os.path.join(other, name))
    # A checkpoint is for one output; this one's is another copy of the same, which its state says.
    write(os.path.join(inputs, "c.csv"), SAMPLED, slice(12_000, 14_000), 14_000)
    engine([inputs], out)
    learnt(spark, other, inputs, "all")
    same("behind a sample, the engine and a job that learns all", out, os.path.join(other, "out"))
    check(model_of(out) == model_of(os.path.join(other, "out")), "and the same model")
    write(os.path.join(inputs, "d.csv"), SAMPLED, slice(14_000, 16_000), 16_000)
    n_pages, n_learnt = learnt(spark, folder, inputs)
    check(0 < n_learnt < n_pages, "a sample again, behind the engine: %d of %d" % (n_learnt, n_pages))
    counted(out)


def refused_samples(spark):
    """What makes no sense is told before anything is read."""
    from windrow.spark import ClusterStream

    def asked(settings="", **how):
        folder = place("sample-refused")
        return lambda: ClusterStream(spark, "csv", {"path": folder}, os.path.join(folder, "out"), os.path.join(folder, "checkpoint"), settings=settings, **how)

    refused("learn=\"some\"", "InvalidError", "E-SPARK-LEARN", asked(learn="some"))
    refused("a sample of nothing", "InvalidError", "E-SPARK-LEARN", asked(learn="sample", sample=0.0))
    refused("a sample of 10, meant in percent", "InvalidError", "E-SPARK-LEARN", asked(learn="sample", sample=10))
    refused("a sample where all is learnt", "InvalidError", "E-SPARK-LEARN", asked(sample=0.1))
    refused("a sample for K-Means", "InvalidError", "E-SPARK-LEARN", asked('[model]\nkind = "kmeans"\n', learn="sample"))


def sample_killed():
    """A driver killed in the middle, and before a commit: the next start repeats the batch with the same result."""
    inputs, folder = place("sample-killed-in"), place("sample-undisturbed")
    cut(SAMPLED, inputs, 4, 8_000)
    undisturbed, log = os.path.join(folder, "out"), os.path.join(folder, "log")
    code, said = finish([*one_by_one(folder, inputs, CLUSTER), "--learn", "sample"], log)
    check(code == 0 and "pages were learnt" in said, "undisturbed: exit %s: %s" % (code, said if code else said.splitlines()[-1]))
    for point in ("Checkpoint.keep", "State.commit"):
        kill_at(point, inputs, undisturbed, "--learn", "sample")


CLUSTER = "local-cluster[2,1,1024]"


def whole(what, out, inputs, undisturbed):
    """What came of it is what the engine makes undisturbed, and nothing is left behind."""
    same(what, out, undisturbed)
    check(model_of(out) == model_of(undisturbed), "and the same model")
    hidden = [name for family in ("pages", "rejects", "lineage") for name in os.listdir(os.path.join(out, family)) if name.startswith(".")]
    check(hidden == [], "and no hidden file is left")
    audit(out)


def prepared(name, n, rows="google_news_2013"):
    """Rows in n files, and what the engine makes of them."""
    inputs, undisturbed = place(name + "-in"), os.path.join(place(name + "-engine"), "out")
    cut(rows, inputs, n)
    engine([inputs], undisturbed)
    return inputs, undisturbed


def cluster(full):
    """One, two and four executors of their own."""
    for rows in ("google_news_2013", "links_stream_2012_2023"):
        inputs, undisturbed = prepared("cluster-" + rows, 4, rows)
        for n in (1, 2, 4):
            folder = place("cluster-%s-%d" % (rows, n))
            code, said = finish(one_by_one(folder, inputs, "local-cluster[%d,1,1024]" % n, "4"), os.path.join(folder, "log"))
            check(code == 0, "%s, executors: %d: %s" % (rows, n, said if code else "exit 0"))
            whole("%d executors" % n, os.path.join(folder, "out"), inputs, undisturbed)


def old(argument):
    """The job with the oldest Spark, by another Python."""
    python, _, wanted = argument.partition(",")
    inputs, undisturbed = prepared("old", 2)
    folder = place("old")
    out, log = os.path.join(folder, "out"), os.path.join(folder, "log")
    call = command("local[2]", out, os.path.join(folder, "checkpoint"), {"path": inputs}, "--available-now")
    code, said = finish([python, *call[1:]], log)
    version = subprocess.run([python, "-c", "import pyspark, sys; print(pyspark.__version__, sys.version.split()[0])"], capture_output=True, text=True)
    told = subprocess.run([python, "-m", "windrow.spark.job", "--help"], capture_output=True, text=True).stdout
    check("--packages org.apache.spark:spark-sql-kafka-0-10_2.12:3.5.0 " in told, "--help names the connector of Spark 3.5.0")
    check(code == 0 and version.stdout.startswith("3.5.0 %s." % wanted), "Spark and Python %s: %s" % (version.stdout.strip(), said if code else "exit 0"))
    whole("an older Spark", out, inputs, undisturbed)


def faults(full):
    """Kills, tasks that fail, tasks that are run twice."""
    inputs, undisturbed = prepared("faults", 6)
    driver_kills(inputs, undisturbed, (1, 3) if full else (2,))
    for point in POINTS if full else POINTS[1:3]:
        kill_at(point, inputs, undisturbed)
    for fault in ("fails", "dies", "twice"):
        task_fault(fault, inputs, undisturbed)


def task_fault(fault, inputs, undisturbed):
    """A delivering task that fails, that kills its executor, or that waits until it runs twice."""
    folder = place("task-" + fault)
    cluster = Standalone(os.path.join(folder, "work")) if fault == "twice" else None
    master = {"fails": "local[2,4]", "dies": CLUSTER}.get(fault) or cluster.url
    try:
        code, said = finish(child("task", fault, [master, inputs], folder), os.path.join(folder, "log"))
    finally:
        cluster and cluster.stop()
    check(code == 0, "a task that %s: %s" % (fault, said if code else "exit 0"))
    check(os.path.exists(os.path.join(folder, "hit")), "it had a second attempt")
    whole("a task that " + fault, os.path.join(folder, "out"), inputs, undisturbed)
    prepared = [line.strip() for line in open(os.path.join(folder, "prepared"))]
    n_files = len(os.listdir(inputs))
    if fault == "fails":
        check(len(prepared) == len(set(prepared)) == n_files, "each of %d files was prepared once" % n_files)
    if fault == "dies":
        check(len(prepared) > len(set(prepared)) == n_files, "what the executor took along was prepared again: %d files, %d times" % (n_files, len(prepared)))


class Standalone:
    """A cluster of two hosts, as far as Spark can tell: it runs no task twice on one."""

    def __init__(self, folder):
        self._processes = []
        os.makedirs(folder)
        log = os.path.join(folder, "master")
        self._start(log, "master.Master", "--host", "127.0.0.1", "--port", "0")
        told = "Starting Spark master at "
        wait_for("the master", lambda: told in open(log).read(), self._processes[0])
        self.url = open(log).read().partition(told)[2].split()[0]
        for host in ("127.0.0.1", "127.0.0.2"):
            self._start(os.path.join(folder, host), "worker.Worker", "--host", host, "--cores", "1", "--memory", "1g", "--work-dir", folder, self.url)

    def _start(self, log, name, *more):
        import pyspark

        call = [os.path.join(os.path.dirname(pyspark.__file__), "bin", "spark-class"), "org.apache.spark.deploy." + name, "--webui-port", "0", *more]
        self._processes.append(start(call, log))

    def stop(self):
        for process in self._processes:
            kill(process)


def one_by_one(folder, inputs, master="local[2]", at_once="1"):
    options = {"path": inputs, "maxFilesPerTrigger": at_once}
    return command(master, os.path.join(folder, "out"), os.path.join(folder, "checkpoint"), options, "--available-now")


def driver_kills(inputs, undisturbed, epochs):
    folder = place("driver")
    log, call, out = os.path.join(folder, "log"), one_by_one(folder, inputs), os.path.join(folder, "out")
    for epoch in epochs:
        process = start(call, log)
        wait_for("commit %d" % epoch, lambda: manifest(out)["epoch"] >= epoch, process)
        kill(process)
        say("ok: driver killed at commit %d" % manifest(out)["epoch"])
    jvm_kill(call, log, out)
    # The last start is one without end, and is asked to stop.
    process = start([part for part in call if part != "--available-now"], log)
    wait_for("all rows", lambda: manifest(out)["counters"]["rows"] == manifest(undisturbed)["counters"]["rows"], process)
    process.send_signal(signal.SIGTERM)
    wait_for("the end", lambda: process.poll() is not None)
    check(process.returncode == 130, "the last start is stopped: exit %d%s" % (process.returncode, "" if process.returncode == 130 else tail(log)))
    last = json.load(open(os.path.join(out, ".windrow", "last.json")))
    check([last["end"]["reason"]] + [stop["reason"] for stop in last["stops"]] == ["interrupted"] + ["killed"] * len(epochs) + ["E-SPARK"], "and the state says how each run ended")
    whole("a driver killed %d times" % len(epochs), out, inputs, undisturbed)


def jvm_kill(call, log, out):
    """The JVM alone dies: the job says so, and lets go of its folders."""
    before = manifest(out)["epoch"]
    process = start(call, log)
    wait_for("a commit", lambda: manifest(out)["epoch"] > before, process)
    for jvm in children(process.pid, "org.apache.spark.deploy.SparkSubmit"):
        os.kill(jvm, signal.SIGKILL)
    wait_for("the end", lambda: process.poll() is not None)
    told = [line for line in tail(log).splitlines() if line.startswith("error[")]
    check(process.returncode == 1 and len(told) == 1 and told[0].startswith("error[E-SPARK]: "), "the JVM killed: exit %d, %s" % (process.returncode, told))
    end = json.load(open(os.path.join(out, ".windrow", "last.json")))["end"]
    check(end and (end["reason"], end["exit_code"]) == ("E-SPARK", 1), "and the state says how the run ended")


class Server:
    """`windrow serve` beside whatever writes the output."""

    def __init__(self, out):
        call = [WINDROW, "serve", "--out", out, "--listen", "127.0.0.1:0"]
        self._process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._base, _, self._token = self._process.stdout.readline().strip().partition("/?token=")

    def delivered(self):
        """Pages of each cluster."""
        request = urllib.request.Request(self._base + "/api/v1/messages", headers={"Authorization": "Bearer " + self._token})
        try:
            told = json.load(urllib.request.urlopen(request))
        except urllib.error.HTTPError:
            return {}
        return {int(one["cluster"]): one["pages"] for one in told["clusters"]}

    def stop(self):
        self._process.kill()
        self._process.wait()


# Where a driver dies: before the model is in the checkpoint, before the manifest, behind it, and before Spark holds the batch for done.
POINTS = ("Checkpoint.keep", "State.commit", "State.show", "State.drop_leftovers")


def kill_at(point, inputs, undisturbed, *more):
    folder = place("-".join(("at", point, *more)))
    log, out = os.path.join(folder, "log"), os.path.join(folder, "out")
    call = [*one_by_one(folder, inputs), *more]
    killed(point, call, folder)
    code, said = finish(call, log)
    check(code == 0, "the next start ends: exit %s%s" % (code, "\n" + said if code else ""))
    whole("killed before " + point, out, inputs, undisturbed)


def killed(point, call, folder, beside=lambda: None):
    """The job, dead where it is told to die, the third time that it comes by; `beside` is called again and again while it runs."""
    process = start(child("kill", point, call[3:], folder), os.path.join(folder, "log"))
    wait_for("the kill", lambda: (beside(), process.poll() is not None)[1])
    check(process.returncode == -signal.SIGKILL, "killed before %s: %s" % (point, process.returncode))


def child(what, fault, argument, folder):
    """This script, in a process of its own."""
    return [sys.executable, os.path.abspath(__file__), WINDROW, folder, DATA, "%s:%s:%s" % (what, fault, json.dumps(argument))]


def run_killed(argument):
    """In a process of its own: the job, until it dies."""
    from windrow.spark import checkpoint, job, state

    point, _, call = argument.partition(":")
    name, _, method = point.partition(".")
    owner = {"State": state.State, "Checkpoint": checkpoint.Checkpoint}[name]
    method_as_it_is, calls = getattr(owner, method), []

    def dying(self, *args, **kwargs):
        calls.append(self)
        if len(calls) == 3:
            os.killpg(os.getpgid(0), signal.SIGKILL)
        return method_as_it_is(self, *args, **kwargs)

    setattr(owner, method, dying)
    job.main(json.loads(call))


def run_task_fault(argument):
    """In a process of its own: the first attempt at delivering the first part fails, kills its executor, or waits until there is a second one;
    and each file that is prepared is noted."""
    from windrow.spark import stream as module

    fault, _, told = argument.partition(":")
    master, inputs = json.loads(told)
    hit, noted = os.path.join(FOLDER, "hit"), os.path.join(FOLDER, "prepared")
    deliver, prepare_files = module.deliver, module.chunks.prepare_files

    def faulty(target, decided):
        write = deliver(target, decided)

        def task(batches):
            from pyspark import TaskContext

            context = TaskContext.get()
            yield from write(batches)
            if context.partitionId() > 0 or os.path.exists(hit):
                return
            if context.attemptNumber() > 0:
                open(hit, "a").close()
            elif fault == "fails":
                raise RuntimeError("this attempt was made to fail")
            elif fault == "dies":
                daemon = open("/proc/%d/stat" % os.getppid()).read()
                os.kill(int(daemon.rpartition(")")[2].split()[1]), signal.SIGKILL)
                signal.pause()
            else:
                deadline = time.monotonic() + DEADLINE_S / 2
                while not os.path.exists(hit) and time.monotonic() < deadline:
                    time.sleep(0.05)

        return task

    def noting(*arguments):
        prepare = prepare_files(*arguments)

        def task(batches):
            names = set()

            def seen():
                for batch in batches:
                    names.update(batch.column(0).unique().to_pylist())
                    yield batch

            yield from prepare(seen())
            with open(noted, "a") as file:
                file.write("".join(name + "\n" for name in names))

        return task

    module.deliver, module.chunks.prepare_files = faulty, noting
    speculation = {"spark.speculation": "true", "spark.speculation.quantile": "0.1", "spark.speculation.multiplier": "1.1"}
    spark = session(master, **(speculation if fault == "twice" else {}))
    stream(spark, FOLDER, inputs, maxFilesPerTrigger="3" if fault == "twice" else "2")


def checkpoints(full):
    """A checkpoint that is deleted, put back to an older copy, or used twice; an output that is."""
    inputs, undisturbed = prepared("checkpoints", 4)
    spark, folder, spare = session(), place("checkpoints"), place("checkpoints-spare")
    out, kept = os.path.join(folder, "out"), os.path.join(folder, "checkpoint")
    last = sorted(os.listdir(inputs))[-1]
    os.rename(os.path.join(inputs, last), os.path.join(spare, last))
    stream(spark, folder, inputs, maxFilesPerTrigger="1")
    shutil.copytree(kept, os.path.join(spare, "checkpoint"))
    shutil.copytree(out, os.path.join(spare, "out"))
    os.rename(os.path.join(spare, last), os.path.join(inputs, last))
    damage(out)
    stream(spark, folder, inputs)
    whole("four files, with a damaged model in front of the last", out, inputs, undisturbed)
    shutil.rmtree(kept)
    stream(spark, folder, inputs)
    whole("the checkpoint was deleted", out, inputs, undisturbed)
    shutil.rmtree(kept)
    shutil.copytree(os.path.join(spare, "checkpoint"), kept)
    stream(spark, folder, inputs)
    whole("an older copy of the checkpoint was put back", out, inputs, undisturbed)
    let_go_behind_a_commit(spark, inputs, undisturbed)
    refusals(spark, folder, inputs, spare)
    spark.stop()


def let_go_behind_a_commit(spark, inputs, undisturbed):
    """Who lets go of the folders while a batch is committed, as when the JVM has died, waits until its files have their places."""
    from windrow.spark import ClusterStream, state

    folder, add_files, closers = place("let-go"), state.State._add_files, []
    out = os.path.join(folder, "out")

    def adding(self, body, published):
        closers.append(threading.Thread(target=of._let_go, args=(None,)))
        closers[0].start()
        closers[0].join(1)
        add_files(self, body, published)

    of = ClusterStream(spark, "csv", {"path": inputs}, out, os.path.join(folder, "checkpoint"))
    state.State._add_files = adding
    try:
        of.run(availableNow=True)
    finally:
        state.State._add_files = add_files
    check(len(closers) == 1, "the folders were let go of within a commit")
    closers[0].join(60)
    whole("let go of behind a commit", out, inputs, undisturbed)


def damage(out):
    """Turns a bit of the newest model around."""
    path = os.path.join(out, ".windrow", "snapshots", manifest(out)["snapshots"][-1]["name"])
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        data[len(data) // 2] ^= 1
        file.seek(0)
        file.write(data)
    done = subprocess.run([WINDROW, "state", "verify", "--out", out], capture_output=True, text=True)
    check(done.returncode != 0, "the engine calls the model damaged: exit %d" % done.returncode)


def refused(what, kind, code, call):
    import windrow

    try:
        call()
    except windrow.Error as error:
        check((type(error), error.code) == (getattr(windrow, kind), code) and error.hint, "%s: %s" % (what, error))
        return
    raise SystemExit("FAILED: %s was not refused" % what)


def refusals(spark, folder, inputs, spare):
    from windrow.spark import ClusterStream

    out, kept = os.path.join(folder, "out"), os.path.join(folder, "checkpoint")
    with ClusterStream(spark, "csv", {"path": inputs}, out, kept):
        refused("two queries on one output", "FencedError", "E-LOCKED", lambda: stream(spark, folder, inputs))
        beside = os.path.join(place("beside"), "out")
        refused("two queries on one checkpoint", "InvalidError", "E-SPARK-CHECKPOINT", lambda: ClusterStream(spark, "csv", {"path": inputs}, beside, kept))
        code, said = finish(one_by_one(folder, inputs), os.path.join(folder, "log"))
        check(code == 5 and "error[E-LOCKED]" in said, "the job beside a query: exit %d, %s" % (code, said.splitlines()[-2:]))
        done = subprocess.run([WINDROW, "run", "--input", inputs, "--out", out], capture_output=True, text=True)
        check(done.returncode == 5 and "E-LOCKED" in done.stderr, "the engine beside a query: %s" % done.stderr.splitlines()[0])
    code, said = finish([*one_by_one(folder, inputs), "--settings", "none.toml"], os.path.join(folder, "log"))
    check(code == 3 and "error[E-SETTINGS-FILE]" in said, "settings that are not there: exit %d, %s" % (code, said.splitlines()[-2:]))
    shutil.move(os.path.join(kept, "windrow"), os.path.join(folder, "windrow"))
    refused("a checkpoint without our part of it", "InvalidError", "E-SPARK-CHECKPOINT", lambda: stream(spark, folder, inputs))
    shutil.rmtree(os.path.join(kept, "windrow"), ignore_errors=True)
    shutil.move(os.path.join(folder, "windrow"), os.path.join(kept, "windrow"))
    hostile()
    refused("another pipeline's checkpoint", "InvalidError", "E-SPARK-CHECKPOINT", lambda: ClusterStream(spark, "csv", {"path": inputs}, os.path.join(undone(spare), "out"), kept))
    early = place("early")
    ClusterStream(spark, "csv", {"path": inputs}, os.path.join(early, "out"), os.path.join(early, "checkpoint")).close()
    refused(
        "a checkpoint whose first query has committed nothing yet", "InvalidError", "E-SPARK-CHECKPOINT",
        lambda: ClusterStream(spark, "csv", {"path": inputs}, os.path.join(early, "other"), os.path.join(early, "checkpoint")),
    )
    refused("other settings", "InvalidError", "E-SETTINGS-STATE", lambda: ClusterStream(spark, "csv", {"path": inputs}, out, kept, settings="[model]\nclusters = 7\n"))
    shutil.move(out, os.path.join(folder, "newer"))
    refused("an output that is gone", "DataError", "E-STATE-MISSING", lambda: stream(spark, folder, inputs))
    shutil.rmtree(out)
    shutil.copytree(os.path.join(spare, "out"), out)
    refused("an output put back to an older copy", "DataError", "E-STATE-OLDER", lambda: stream(spark, folder, inputs))


def hostile():
    """A header of a stranger that names no column of ours ends the job, and does not reach the terminal as it is."""
    inputs, folder = place("hostile-in"), place("hostile")
    with open(os.path.join(inputs, "a.csv"), "w") as file:
        file.write("\x1b[31mred,\u202eb\n1,2\n")
    code, said = finish(one_by_one(folder, inputs), os.path.join(folder, "log"))
    check("\x1b" not in said and "\u202e" not in said, "nothing of a hostile header steers a terminal")
    told = [line for line in said.splitlines() if line.startswith("error[")]
    check(code == 2 and len(told) == 1 and "E-INPUT-COLUMNS" in told[0] and "red" in told[0], "a hostile header: %s" % told)


def undone(spare):
    """An output of another pipeline."""
    folder = place("other")
    cut("google_news_2013", folder, 1, 300)
    engine([folder], os.path.join(folder, "out"))
    return folder


def kafka(argument):
    """From a real topic of four partitions, and to topics; the engine before and behind."""
    brokers, _, jars = argument.partition(",")
    inputs, folder = place("kafka-in"), place("kafka")
    out, log = os.path.join(folder, "out"), os.path.join(folder, "log")
    n_rows = cut("google_news_2013", inputs, 3)
    ask(brokers, "topics", "create", "--from-topic", "pages", "--input-partitions", "4", "--partitions", "1")
    conf = {"spark.jars": jars}
    options = {"kafka.bootstrap.servers": brokers, "subscribe": "pages", "maxOffsetsPerTrigger": "2000"}
    call = command("local[2]", out, os.path.join(folder, "checkpoint"), options, "--available-now", conf=conf)
    parts = sorted(os.listdir(inputs))
    one_order(brokers, conf, os.path.join(inputs, parts[0]))
    produce(brokers, os.path.join(inputs, parts[0]))
    job(call, log, "Spark from a topic, local[2]")
    produce(brokers, os.path.join(inputs, parts[1]))
    ask(brokers, "run", "--from-topic", "pages", "--until-end", "--no-serve", "--out", out, "--output", "none")
    produce(brokers, os.path.join(inputs, parts[2]))
    # As a user calls it, with `spark-submit`, and options of ours behind those of the line.
    line = submit_line(brokers, jars, out, os.path.join(folder, "checkpoint")) + " --option maxOffsetsPerTrigger=2000 --available-now"
    job(["bash", "-c", line], log, "the line of --help, local-cluster, behind the engine")
    ask(brokers, "run", "--from-topic", "pages", "--until-end", "--no-serve", "--out", out, "--output", "none")
    check(manifest(out)["counters"]["rows"] == n_rows, "Spark, engine, Spark, engine: all %d rows, each once" % n_rows)
    audit(out, "--kafka", brokers, "--from-topic", "pages", "--output", "none")
    shutil.rmtree(os.path.join(folder, "checkpoint"))
    job(call, log, "the checkpoint deleted")
    check(manifest(out)["counters"]["rows"] == n_rows, "and nothing is read twice")
    n_rows += gap(brokers, conf, folder)
    to_topics(brokers, conf, folder, n_rows)


def submit_line(brokers, jars, out, checkpoint):
    """The line that `--help` prints, with its words in capitals filled in, and the connector from here."""
    call = [sys.executable, "-m", "windrow.spark.job", "--help"]
    told = subprocess.run(call, capture_output=True, text=True, check=True).stdout
    line = told[told.index("PYSPARK_PYTHON=") :].partition("\n\n")[0].replace("\\\n", " ")
    confs = " ".join("--conf %s=%s" % pair for pair in SMALL.items())
    package = "--packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0"
    check(package in line, "--help tells the line for this Spark: " + " ".join(line.split()))
    line = line.replace(package, "--master '%s' --jars %s %s" % (CLUSTER, jars, confs))
    for word, value in (("BROKER:9092", brokers), ("TOPIC", "pages"), ("OUT", out), ("CHECKPOINT", checkpoint)):
        line = re.sub(r"\b%s\b" % word, value, line)
    return line.replace("spark-submit", os.path.join(os.path.dirname(sys.executable), "spark-submit"))


def one_order(brokers, conf, path):
    """One partition has one order: Spark decides as the engine does."""
    folder = place("one-order")
    out, theirs = os.path.join(folder, "out"), os.path.join(folder, "engine")
    ask(brokers, "topics", "create", "--from-topic", "single", "--input-partitions", "1", "--partitions", "1")
    ask(brokers, "produce", "--topic", "single", "--input", path)
    options = {"kafka.bootstrap.servers": brokers, "subscribe": "single", "maxOffsetsPerTrigger": "2000"}
    call = command("local[2]", out, os.path.join(folder, "checkpoint"), options, "--available-now", conf=conf)
    job(call, os.path.join(folder, "log"), "Spark from one partition")
    ask(brokers, "run", "--from-topic", "single", "--from", "earliest", "--until-end", "--no-serve", "--out", theirs, "--output", "none")
    same("a topic", out, theirs)
    check(model_of(out) == model_of(theirs), "and the same model")


def ask(brokers, *call):
    done = subprocess.run([WINDROW, *call, "--kafka", brokers], capture_output=True, text=True)
    check(done.returncode == 0, "windrow %s%s" % (" ".join(call[:2]), "" if done.returncode == 0 else "\n" + done.stderr))


def produce(brokers, path):
    ask(brokers, "produce", "--topic", "pages", "--input", path)


def job(call, log, what):
    code, said = finish(call, log)
    check(code == 0, "%s: %s" % (what, said if code else "exit 0"))


def gap(brokers, conf, folder):
    """A new checkpoint that begins behind what is in the output would lose what lies between. Says how many rows came."""
    late = os.path.join(folder, "late.csv")
    header, lines = rows_of("links_stream_2012_2023", 500)
    lines += [OLD, b"soon,late,,no such time,,"]
    with open(late, "wb") as file:
        file.write(b"\n".join([header, *lines, b""]))
    produce(brokers, late)
    options = {"kafka.bootstrap.servers": brokers, "subscribe": "pages", "startingOffsets": "latest"}
    kept = os.path.join(folder, "gap")
    call = command("local[2]", os.path.join(folder, "out"), kept, options, "--available-now", conf=conf)
    code, said = finish(call, os.path.join(folder, "log"))
    check(code == 1 and "E-SPARK-GAP" in said, "startingOffsets latest leaves a gap, and is refused: %s" % said.splitlines()[-2])
    return len(lines)


# A time that the cleaning takes, and that Python has no word for.
OLD = b"0000-01-01T00:00:00Z,old,http://old.example/,before all years of Python,,"


def to_topics(brokers, conf, folder, n_rows):
    """Two executors, the page's server beside them; the driver dies between topics and commit, so that a batch is sent twice."""
    ask(brokers, "topics", "create", "--from-topic", "pages", "--output", "topics", "--input-partitions", "4", "--partitions", "1")
    out, kept, log = os.path.join(folder, "topics"), os.path.join(folder, "topics-checkpoint"), os.path.join(folder, "log")
    options = {"kafka.bootstrap.servers": brokers, "subscribe": "pages", "maxOffsetsPerTrigger": "2000"}
    call = command(CLUSTER, out, kept, options, "--available-now", "--topics=kafka.bootstrap.servers=" + brokers, conf=conf)
    server, told = Server(out), []
    killed("State.commit", call, folder, lambda: told.append(sum(server.delivered().values())))
    process = start(call, log)
    wait_for("the end", lambda: (told.append(sum(server.delivered().values())), process.poll() is not None)[1])
    check(process.returncode == 0, "Spark to topics%s" % ("" if process.returncode == 0 else ":\n" + tail(log)))
    between = sorted({pages for pages in told if 0 < pages < n_rows - 1})
    check(len(between) > 1, "windrow serve, begun before the job, tells %s of %d pages while it runs" % (between, n_rows - 1))
    delivered = dict(query(out, "select cluster, count(*) from '{out}/pages/*.parquet' group by 1"))
    wait_for("the server to say what the Parquet holds", lambda: server.delivered() == delivered)
    server.stop()
    audit(out, "--kafka", brokers, "--from-topic", "pages", "--output", "none")
    sent(brokers, conf, out, n_rows)


def sent(brokers, conf, out, n_rows):
    """What readers of the topics find, once repeats are dropped by record id, is what the Parquet holds, value by value."""
    spark = session(**conf)
    options = {"kafka.bootstrap.servers": brokers, "subscribePattern": "cluster_.*|windrow-.*", "includeHeaders": "true", "kafka.isolation.level": "read_committed"}
    found = {"pages": [], "rejects": [], "lineage": []}
    for row in spark.read.format("kafka").options(**options).load().select("topic", "key", "value", "headers").collect():
        headers = {header["key"]: bytes(header["value"]).decode() for header in row["headers"] or []}
        family = row["topic"].removeprefix("windrow-") if row["topic"].startswith("windrow-") else "pages"
        if headers.get("windrow-pipeline") == manifest(out)["pipeline"]:
            found[family].append((row["topic"], row["key"] and bytes(row["key"]).decode(), row["value"] and bytes(row["value"]), headers))
    spark.stop()
    once = {family: {message[3].get("windrow-record-id") or message[2]: message for message in messages} for family, messages in found.items()}
    counts = {family: (len(found[family]), len(once[family])) for family in found}
    check(counts["pages"][0] > counts["pages"][1] == n_rows - 1, "messages, and without repeats: %s" % counts)
    for family, agrees in (("pages", same_page), ("rejects", same_reject)):
        rows = {row["record_id"]: row for row in table(out, family)}
        odd = [(row, once[family].get(key)) for key, row in rows.items() if key not in once[family] or not agrees(row, *once[family][key])]
        check(rows.keys() == once[family].keys() and not odd, "%s of the topics are those of the Parquet, key, headers and value %s" % (family, odd[:1] or ""))
    events = {json.dumps(dict({name: value for name, value in row.items() if value is not None}, pipeline=manifest(out)["pipeline"]), sort_keys=True) for row in table(out, "lineage")}
    lines = {json.dumps(json.loads(value), sort_keys=True) for value in once["lineage"]}
    keyed = all(key == str(json.loads(value)["cluster"]) for _, key, value, _ in once["lineage"].values())
    check(lines == events and len(events) > 100 and keyed, "%d lines of the lineage too" % len(events))


def table(out, family):
    """The rows of a family, times as microseconds."""
    times = " replace (epoch_us(creation_time) as creation_time)" if family == "pages" else ""
    with duckdb.connect() as database:
        found = database.execute("select *%s from '%s/%s/*.parquet'" % (times, out, family))
        names = [column[0] for column in found.description]
        return [dict(zip(names, row)) for row in found.fetchall()]


def same_page(row, topic, key, value, headers):
    value, named = json.loads(value), {name.removeprefix("windrow-"): text for name, text in headers.items()}
    time, wanted = value.pop("creation_time"), dict(row)
    micros = wanted.pop("creation_time")
    if row["id"] == "old":
        fits = time == "0000-01-01T00:00:00Z" and micros < 0
    else:
        at = time and datetime.datetime.fromisoformat(time.replace("Z", "+00:00")) - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        fits = micros == (at if at is None else round(at / datetime.timedelta(microseconds=1)))
    texts = {"record-id": row["record_id"], "cluster": str(row["cluster"]), "micro-cluster": str(row["micro_cluster"]), "novel": "01"[row["novel"]]}
    fits = fits and texts.items() <= named.items() and float(named["score"]) == row["score"] and named["schema"] == "windrow.page/1" and int(named["epoch"]) > 0
    fits = fits and len(named) == 8 and topic == "cluster_%d" % row["slot"] and key == (row["domain"] or None)
    return fits and value == {name: None if each == "" and name != "label" else each for name, each in wanted.items()}


def same_reject(row, topic, key, value, headers):
    source, _, partition = row["source"].rpartition("/")
    wanted = {"windrow-reason": row["reason"], "windrow-schema": "windrow.reject/1", "__connect.errors.topic": source.removeprefix("kafka:")}
    wanted.update({"__connect.errors.partition": partition, "__connect.errors.offset": row["record_id"].rpartition(":")[2]})
    return key is None and value == bytes(row["raw"]) and wanted.items() <= headers.items()


PARTS = {"parity": parity, "switch": switch, "sample": sample, "cluster": cluster, "faults": faults, "checkpoints": checkpoints}
# Parts that take an argument: kafka:BROKERS,JARS and old:PYTHON,VERSION; the others are called by this script itself.
CHILDREN = {"kafka": kafka, "old": old, "kill": run_killed, "task": run_task_fault}

if __name__ == "__main__":
    os.makedirs(FOLDER, exist_ok=True)
    for part in sys.argv[4:]:
        name, _, form = part.partition(":")
        if name in CHILDREN:
            CHILDREN[name](form)
            continue
        began = time.monotonic()
        PARTS[name](form == "full")
        say("part %s: %.0f s" % (name, time.monotonic() - began))
