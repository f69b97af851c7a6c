"""Structured Streaming from outside: the same answers as the engine, and nothing lost or doubled whatever happens.

    spark_stream.py WINDROW FOLDER DATA PART...       parts: parity switch sample checkpoints cluster faults, each also as NAME:full; kafka old

Each check says what it saw; the first that does not hold ends the script.
"""

import glob
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import duckdb

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
ANSWER = "record_id, id, cluster, slot, micro_cluster, novel, score, label"


def query(out, sql):
    with duckdb.connect() as database:
        return database.execute(sql.format(out=out)).fetchall()


def same(what, one, other, columns=ANSWER):
    """Both outputs hold the same rows with the same answers."""
    sql = "select count(*) from (select {c} from '{a}/pages/*.parquet' except all select {c} from '{b}/pages/*.parquet')"
    differ = [query("", sql.format(a=a, b=b, c=columns))[0][0] for a, b in ((one, other), (other, one))]
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


def stream(spark, folder, inputs, kind="csv", **options):
    from windrow.spark import ClusterStream

    out = os.path.join(folder, "out")
    ClusterStream(spark, kind, {"path": inputs, **options}, out, os.path.join(folder, "checkpoint")).run(availableNow=True)
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
    messy(spark)
    shapes(spark)
    spark.stop()


def shapes(spark):
    """The same rows as JSON Lines, with other names, and as Parquet."""
    inputs, lines, table = place("shapes-in"), place("shapes-lines"), place("shapes-parquet")
    cut("google_news_2013", inputs, 1, 3000)
    rows = "from read_csv('%s/*.csv', all_varchar = true)" % inputs
    with duckdb.connect() as database:
        database.execute("copy (select * %s) to '%s/a.parquet'" % (rows, table))
        database.execute("copy (select title as name, * exclude title %s) to '%s/a.jsonl' (format json)" % (rows, lines))
    undisturbed = os.path.join(place("shapes-engine"), "out")
    engine([inputs], undisturbed)
    columns = "id, title, cluster, slot, micro_cluster, novel, score, label"
    same("Parquet", undisturbed, stream(spark, place("shapes-of-parquet"), table, "parquet"), columns)
    folder = place("shapes-of-lines")
    out, theirs = os.path.join(folder, "out"), os.path.join(folder, "engine")
    from windrow.spark import ClusterStream

    ClusterStream(spark, "json", {"path": lines}, out, os.path.join(folder, "checkpoint"), columns="title=name").run(availableNow=True)
    engine([lines], theirs, "--columns", "title=name")
    same("JSON Lines under other names", out, theirs)
    check(model_of(out) == model_of(theirs), "and the same model")
    audit(out)


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
    rejects = "select record_id, reason, raw, source from '{out}/rejects/*.parquet' order by all"
    ours, theirs = query(out, rejects), query(os.path.join(folder, "engine"), rejects)
    check(ours == theirs and len(ours) > 15, "%d rejects, the same as the engine's" % len(ours))
    audit(out)
    verbs = [["status", "--out", out], ["clusters", "--out", out], ["export", "--cluster", "0", "--folder", out, "--out", os.path.join(folder, "x.csv")]]
    verbs += [["plot", "messages", "--folder", out, "--out", os.path.join(folder, "x.svg")], ["state", "verify", "--out", out]]
    verbs += [["explain", "--out", out, "--id", query(out, "select id from '{out}/pages/*.parquet' limit 1")[0][0]], ["rejects", "list", "--out", out]]
    for verb in verbs:
        done = subprocess.run([WINDROW, *verb], capture_output=True, text=True)
        check(done.returncode == 0, "windrow %s%s" % (verb[0], done.stderr if done.returncode else ""))


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
        same("the same batches, the second in %d files" % n, outs[1], outs[n], ANSWER.replace("record_id, ", ""))
        check(query(outs[1], LINEAGE) == query(outs[n], LINEAGE), "and the same lineage")
    counted(outs[4])
    goes_on(spark, outs[4])
    refused_samples(spark)
    spark.stop()
    killed()


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
    # The checkpoint says whose it is by the place of its output, for people alone.
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

    refused("learn=\"some\"", "E-SPARK-LEARN", asked(learn="some"))
    refused("a sample of nothing", "E-SPARK-LEARN", asked(learn="sample", sample=0.0))
    refused("a sample of 10, meant in percent", "E-SPARK-LEARN", asked(learn="sample", sample=10))
    refused("a sample where all is learnt", "E-SPARK-LEARN", asked(sample=0.1))
    refused("a sample for K-Means", "E-SPARK-LEARN", asked('[model]\nkind = "kmeans"\n', learn="sample"))


def killed():
    """A driver killed in the middle, and before a commit: the next start repeats the batch with the same result."""
    inputs, folder = place("sample-killed-in"), place("sample-undisturbed")
    cut(SAMPLED, inputs, 4, 8_000)
    undisturbed, log = os.path.join(folder, "out"), os.path.join(folder, "log")
    code, said = finish([*one_by_one(folder, inputs), "--learn", "sample"], log)
    check(code == 0 and "pages were learnt" in said, "undisturbed: exit %s: %s" % (code, said if code else said.splitlines()[-1]))
    for point in ("+Checkpoint.keep", "+State.commit"):
        kill_at(point, inputs, undisturbed, "--learn", "sample")


CLUSTER = "local-cluster[2,1,1024]"


def whole(what, out, inputs, undisturbed):
    """What came of it is what the engine makes undisturbed, and nothing is left behind."""
    same(what, out, undisturbed)
    check(model_of(out) == model_of(undisturbed), "and the same model")
    hidden = [name for family in ("pages", "rejects", "lineage") for name in os.listdir(os.path.join(out, family)) if name.startswith(".")]
    check(hidden == [], "and no hidden file is left")
    audit(out)


def prepared(name, n):
    """Rows in n files, and what the engine makes of them."""
    inputs, undisturbed = place(name + "-in"), os.path.join(place(name + "-engine"), "out")
    cut("google_news_2013", inputs, n)
    engine([inputs], undisturbed)
    return inputs, undisturbed


def cluster(full):
    """Two executors of their own; one of them is killed in the middle."""
    inputs, undisturbed = prepared("cluster", 4)
    folder = place("cluster")
    out, log = os.path.join(folder, "out"), os.path.join(folder, "log")
    call = command(CLUSTER, out, os.path.join(folder, "checkpoint"), {"path": inputs, "maxFilesPerTrigger": "2"}, "--available-now")
    code, said = finish(call, log)
    check(code == 0, "local-cluster, two executors: %s" % (said if code else "exit 0"))
    whole("two executors", out, inputs, undisturbed)


def old(python):
    """The job with another Spark, by another Python."""
    inputs, undisturbed = prepared("old", 2)
    folder = place("old")
    out, log = os.path.join(folder, "out"), os.path.join(folder, "log")
    call = command("local[2]", out, os.path.join(folder, "checkpoint"), {"path": inputs}, "--available-now")
    code, said = finish([python, *call[1:]], log)
    version = subprocess.run([python, "-c", "import pyspark, sys; print(pyspark.__version__, sys.version.split()[0])"], capture_output=True, text=True)
    check(code == 0, "Spark and Python %s: %s" % (version.stdout.strip(), said if code else "exit 0"))
    whole("an older Spark", out, inputs, undisturbed)


def faults(full):
    """Kills, tasks that fail, tasks that are run twice."""
    inputs, undisturbed = prepared("faults", 6)
    driver_kills(inputs, undisturbed, (1, 3) if full else (2,))
    executor_kill(inputs, undisturbed)
    for point in POINTS if full else POINTS[1:3]:
        kill_at(point, inputs, undisturbed)
    for fault in ("fails", "twice"):
        folder = place("task-" + fault)
        log, call = os.path.join(folder, "log"), child("task", fault, inputs, folder)
        code, said = finish(call, log)
        check(code == 0, "a task that %s: %s" % (fault, said if code else "exit 0"))
        check(os.path.exists(os.path.join(folder, "hit")), "the fault was there")
        whole("a task that " + fault, os.path.join(folder, "out"), inputs, undisturbed)


def one_by_one(folder, inputs, master="local[2]"):
    return command(master, os.path.join(folder, "out"), os.path.join(folder, "checkpoint"), {"path": inputs, "maxFilesPerTrigger": "1"}, "--available-now")


def driver_kills(inputs, undisturbed, epochs):
    folder = place("driver")
    log, call, out = os.path.join(folder, "log"), one_by_one(folder, inputs), os.path.join(folder, "out")
    for epoch in epochs:
        process = start(call, log)
        wait_for("commit %d" % epoch, lambda: manifest(out)["epoch"] >= epoch, process)
        kill(process)
        say("ok: driver killed at commit %d" % manifest(out)["epoch"])
    # The last start is one without end, and is asked to stop.
    process = start([part for part in call if part != "--available-now"], log)
    wait_for("all rows", lambda: manifest(out)["counters"]["rows"] == manifest(undisturbed)["counters"]["rows"], process)
    process.send_signal(signal.SIGTERM)
    wait_for("the end", lambda: process.poll() is not None)
    check(process.returncode == 130, "the last start is stopped: exit %d%s" % (process.returncode, "" if process.returncode == 130 else tail(log)))
    last = json.load(open(os.path.join(out, ".windrow", "last.json")))
    check((last["end"]["reason"], last["stops"][0]["reason"]) == ("interrupted", "killed"), "and the state says how each run ended")
    whole("a driver killed %d times" % len(epochs), out, inputs, undisturbed)


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


def executor_kill(inputs, undisturbed):
    folder = place("executor")
    log, call, out = os.path.join(folder, "log"), one_by_one(folder, inputs, CLUSTER), os.path.join(folder, "out")
    process = start(call, log)
    server = Server(out)
    wait_for("a commit", lambda: manifest(out)["epoch"] >= 1, process)
    executors = children(process.pid, "CoarseGrainedExecutorBackend")
    check(len(executors) >= 1, "%d executors run" % len(executors))
    os.kill(executors[0], signal.SIGKILL)
    wait_for("the end of the job", lambda: process.poll() is not None)
    check(process.returncode == 0, "an executor killed: %s" % (tail(log) if process.returncode else "exit 0"))
    whole("an executor killed", out, inputs, undisturbed)
    delivered = dict(query(out, "select cluster, count(*) from '{out}/pages/*.parquet' group by 1"))
    wait_for("the server to say what the Parquet holds", lambda: server.delivered() == delivered)
    say("ok: windrow serve, begun before the first commit, tells the %d pages of %d clusters" % (sum(delivered.values()), len(delivered)))
    server.stop()


# Where a driver dies: before the model is in the checkpoint, before the manifest, behind it, and before Spark holds the batch for done.
POINTS = ("Checkpoint.keep", "State.commit", "State.show", "State.drop_leftovers")


def kill_at(point, inputs, undisturbed, *more):
    folder = place("at-" + point)
    log, out = os.path.join(folder, "log"), os.path.join(folder, "out")
    process = start(child("kill", point, inputs, folder), log)
    wait_for("the kill", lambda: process.poll() is not None)
    check(process.returncode == -signal.SIGKILL, "killed before %s, at commit %d" % (point, manifest(out)["epoch"]))
    code, said = finish([*one_by_one(folder, inputs), *more], log)
    check(code == 0, "the next start ends: exit %s%s" % (code, "\n" + said if code else ""))
    whole("killed before " + point, out, inputs, undisturbed)


def child(what, fault, inputs, folder):
    return [sys.executable, os.path.abspath(__file__), WINDROW, folder, DATA, "%s:%s:%s" % (what, fault, inputs)]


def run_killed(argument):
    """In a process of its own: dies where it is told to, the third time that it comes by. With + before the place it learns from a sample."""
    from windrow.spark import checkpoint, state

    point, _, inputs = argument.partition(":")
    name, _, method = point.lstrip("+").partition(".")
    owner = {"State": state.State, "Checkpoint": checkpoint.Checkpoint}[name]
    method_as_it_is, calls = getattr(owner, method), []

    def dying(self, *args, **kwargs):
        calls.append(self)
        if len(calls) == 3:
            os.killpg(os.getpgid(0), signal.SIGKILL)
        return method_as_it_is(self, *args, **kwargs)

    setattr(owner, method, dying)
    learnt(session(), FOLDER, inputs, "sample" if point.startswith("+") else "all", maxFilesPerTrigger="1")


def run_task_fault(argument):
    """In a process of its own: the first attempt of the delivering task fails, or waits until there is a second one."""
    from windrow.spark import stream as module

    fault, _, inputs = argument.partition(":")
    hit, deliver = os.path.join(FOLDER, "hit"), module.deliver

    def faulty(target, decided):
        write = deliver(target, decided)

        def task(batches):
            from pyspark import TaskContext

            is_first = TaskContext.get().attemptNumber() == 0 and TaskContext.get().partitionId() == 0
            yield from write(batches)
            if not is_first:
                open(hit, "a").close()
            elif fault == "fails":
                open(hit, "a").close()
                raise RuntimeError("this attempt was made to fail")
            else:
                deadline = time.monotonic() + 120
                while not os.path.exists(hit) and time.monotonic() < deadline:
                    time.sleep(0.05)

        return task

    module.deliver = faulty
    speculation = {"spark.speculation": "true", "spark.speculation.quantile": "0.1", "spark.speculation.multiplier": "1.1"}
    spark = session("local[2,4]") if fault == "fails" else session(CLUSTER, **speculation)
    stream(spark, FOLDER, inputs, maxFilesPerTrigger="3")


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
    stream(spark, folder, inputs)
    whole("four files", out, inputs, undisturbed)
    shutil.rmtree(kept)
    stream(spark, folder, inputs)
    whole("the checkpoint was deleted", out, inputs, undisturbed)
    shutil.rmtree(kept)
    shutil.copytree(os.path.join(spare, "checkpoint"), kept)
    stream(spark, folder, inputs)
    whole("an older copy of the checkpoint was put back", out, inputs, undisturbed)
    refusals(spark, folder, inputs, spare)
    spark.stop()


def refused(what, code, call):
    from windrow import Error

    try:
        call()
    except Error as error:
        check(error.code == code and error.hint, "%s: %s" % (what, error))
        return
    raise SystemExit("FAILED: %s was not refused" % what)


def refusals(spark, folder, inputs, spare):
    from windrow.spark import ClusterStream

    out, kept = os.path.join(folder, "out"), os.path.join(folder, "checkpoint")
    with ClusterStream(spark, "csv", {"path": inputs}, out, kept):
        refused("two queries on one checkpoint", "E-LOCKED", lambda: stream(spark, folder, inputs))
        done = subprocess.run([WINDROW, "run", "--input", inputs, "--out", out], capture_output=True, text=True)
        check(done.returncode == 5 and "E-LOCKED" in done.stderr, "the engine beside a query: %s" % done.stderr.splitlines()[0])
    shutil.move(os.path.join(kept, "windrow"), os.path.join(folder, "windrow"))
    refused("a checkpoint without our part of it", "E-SPARK-CHECKPOINT", lambda: stream(spark, folder, inputs))
    shutil.rmtree(os.path.join(kept, "windrow"), ignore_errors=True)
    shutil.move(os.path.join(folder, "windrow"), os.path.join(kept, "windrow"))
    hostile()
    refused("another pipeline's checkpoint", "E-SPARK-CHECKPOINT", lambda: ClusterStream(spark, "csv", {"path": inputs}, os.path.join(undone(spare), "out"), kept))
    refused("other settings", "E-SETTINGS-STATE", lambda: ClusterStream(spark, "csv", {"path": inputs}, out, kept, settings="[model]\nclusters = 7\n"))
    shutil.move(out, os.path.join(folder, "newer"))
    refused("an output that is gone", "E-STATE-MISSING", lambda: stream(spark, folder, inputs))
    shutil.rmtree(out)
    shutil.copytree(os.path.join(spare, "out"), out)
    refused("an output put back to an older copy", "E-STATE-OLDER", lambda: stream(spark, folder, inputs))


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
    calls = [
        command(master, out, os.path.join(folder, "checkpoint"), options, "--available-now", *more, conf=conf)
        for master, more in (("local[2]", []), (CLUSTER, []))
    ]
    parts = sorted(os.listdir(inputs))
    produce(brokers, os.path.join(inputs, parts[0]))
    job(calls[0], log, "Spark from a topic, local[2]")
    produce(brokers, os.path.join(inputs, parts[1]))
    ask(brokers, "run", "--from-topic", "pages", "--until-end", "--no-serve", "--out", out, "--output", "none")
    produce(brokers, os.path.join(inputs, parts[2]))
    job(calls[1], log, "Spark again, local-cluster, behind the engine")
    ask(brokers, "run", "--from-topic", "pages", "--until-end", "--no-serve", "--out", out, "--output", "none")
    check(manifest(out)["counters"]["rows"] == n_rows, "Spark, engine, Spark, engine: all %d rows, each once" % n_rows)
    audit(out, "--kafka", brokers, "--from-topic", "pages", "--output", "none")
    shutil.rmtree(os.path.join(folder, "checkpoint"))
    job(calls[0], log, "the checkpoint deleted")
    check(manifest(out)["counters"]["rows"] == n_rows, "and nothing is read twice")
    gap(brokers, conf, folder)
    to_topics(brokers, conf, folder, n_rows + 500)


def ask(brokers, *call):
    done = subprocess.run([WINDROW, *call, "--kafka", brokers], capture_output=True, text=True)
    check(done.returncode == 0, "windrow %s%s" % (" ".join(call[:2]), "" if done.returncode == 0 else "\n" + done.stderr))


def produce(brokers, path):
    ask(brokers, "produce", "--topic", "pages", "--input", path)


def job(call, log, what):
    code, said = finish(call, log)
    check(code == 0, "%s: %s" % (what, said if code else "exit 0"))


def gap(brokers, conf, folder):
    """A new checkpoint that begins behind what is in the output would lose what lies between."""
    late = os.path.join(folder, "late.csv")
    header, lines = rows_of("links_stream_2012_2023", 500)
    with open(late, "wb") as file:
        file.write(b"\n".join([header, *lines, b""]))
    produce(brokers, late)
    options = {"kafka.bootstrap.servers": brokers, "subscribe": "pages", "startingOffsets": "latest"}
    kept = os.path.join(folder, "gap")
    call = command("local[2]", os.path.join(folder, "out"), kept, options, "--available-now", conf=conf)
    code, said = finish(call, os.path.join(folder, "log"))
    check(code == 1 and "E-SPARK-GAP" in said, "startingOffsets latest leaves a gap, and is refused: %s" % said.splitlines()[-2])


def to_topics(brokers, conf, folder, n_rows):
    """Cluster topics: every page is there, and its record id says which it is."""
    ask(brokers, "topics", "create", "--from-topic", "pages", "--output", "topics", "--input-partitions", "4", "--partitions", "1")
    out, kept, log = os.path.join(folder, "topics"), os.path.join(folder, "topics-checkpoint"), os.path.join(folder, "log")
    options = {"kafka.bootstrap.servers": brokers, "subscribe": "pages"}
    call = command("local[2]", out, kept, options, "--available-now", "--topics=kafka.bootstrap.servers=" + brokers, conf=conf)
    job(call, log, "Spark to topics")
    audit(out, "--kafka", brokers, "--from-topic", "pages", "--output", "none")
    spark = session(**conf)
    sent = spark.read.format("kafka").options(**{"kafka.bootstrap.servers": brokers, "subscribePattern": "cluster_.*", "includeHeaders": "true", "kafka.isolation.level": "read_committed"}).load()
    rows = sent.selectExpr("topic", "cast(value as string) as value", "filter(headers, h -> h.key = 'windrow-record-id')[0].value as id").collect()
    found = {bytes(row["id"]).decode(): (row["topic"], json.loads(row["value"])) for row in rows}
    pages = query(out, "select record_id, slot, cluster, title, score from '{out}/pages/*.parquet'")
    agree = all(found[page[0]][0] == "cluster_%d" % page[1] and [found[page[0]][1][key] for key in ("cluster", "title", "score")] == [page[2], page[3] or None, page[4]] for page in pages)
    check(len(found) == len(pages) == len(rows) == n_rows and agree, "%d pages in the topics, the same as in the Parquet" % len(pages))
    spark.stop()


PARTS = {"parity": parity, "switch": switch, "sample": sample, "cluster": cluster, "faults": faults, "checkpoints": checkpoints}
# Parts that take an argument: kafka:BROKERS,JARS and old:PYTHON; the others are called by this script itself.
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
