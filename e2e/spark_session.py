"""What the jobs that are measured against each other share: one session's settings, and when a rate counts."""

import glob
import os
import time

from pyspark.sql import SparkSession

#: Files of a batch; each is half of one, so that two cores have one each.
FILES_A_BATCH = 2
TICKS = os.sysconf("SC_CLK_TCK")


def session(cores):
    """As many partitions as cores, and a shuffle as wide; no user interface; events logged for nobody."""
    builder = SparkSession.builder.appName("windrow's yardstick").master("local[%d]" % cores)
    settings = {
        "spark.driver.memory": "3g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": cores,
        "spark.default.parallelism": cores,
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.streaming.metricsEnabled": "false",
        "spark.locality.wait": "0",
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def stat(path):
    """Name, parent, and processor seconds of a process or a thread; none if it is gone."""
    try:
        with open(path) as file:
            head, _, tail = file.read().rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = tail.split()
    return head.partition("(")[2], fields[1], (int(fields[11]) + int(fields[12])) / TICKS


def processes():
    """This process and all below it, by their ids."""
    found = {pid: about for pid, about in ((path.split("/")[2], stat(path)) for path in glob.glob("/proc/[0-9]*/stat")) if about}
    ours = {str(os.getpid())}
    while more := {pid for pid, (_, parent, _) in found.items() if parent in ours} - ours:
        ours |= more
    return {pid: found[pid] for pid in ours}


def processor_seconds():
    return sum(seconds for _, _, seconds in processes().values())


class Steady:
    """Ends of batches. The first ones load and compile Spark's classes, and do not count: the clock starts when the last of them ends."""

    def __init__(self, warm):
        self._warm, self.ends, self.rows, self._spent = warm, [], [], 0.0

    def ended(self, rows):
        self.ends.append(time.perf_counter())
        self.rows.append(rows)
        if len(self.ends) == self._warm:
            self._spent = processor_seconds()

    def is_counted(self):
        """Whether the batch that goes on counts."""
        return len(self.ends) >= self._warm

    def told(self):
        if len(self.ends) <= self._warm:
            raise SystemExit("%d batches, of which %d are warm: none is left to count" % (len(self.ends), self._warm))
        seconds, rows = self.ends[-1] - self.ends[self._warm - 1], sum(self.rows[self._warm :])
        spent = processor_seconds() - self._spent
        return {"rows": sum(self.rows), "steady_rows": rows, "batches": len(self.ends) - self._warm, "seconds": seconds, "processor_seconds": spent}
