"""What the jobs that are measured against each other share: one session's settings, and when a rate counts."""

import time

from pyspark.sql import SparkSession

#: Files of a batch; each is half of one, so that two cores have one each.
FILES_A_BATCH = 2


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


class Steady:
    """Ends of batches. The first ones load and compile Spark's classes, and do not count: the clock starts when the last of them ends."""

    def __init__(self, warm):
        self._warm, self.ends, self.rows = warm, [], []

    def ended(self, rows):
        self.ends.append(time.perf_counter())
        self.rows.append(rows)

    def is_counted(self):
        """Whether the batch that goes on counts."""
        return len(self.ends) >= self._warm

    def told(self):
        if len(self.ends) <= self._warm:
            raise SystemExit("%d batches, of which %d are warm: none is left to count" % (len(self.ends), self._warm))
        seconds, rows = self.ends[-1] - self.ends[self._warm - 1], sum(self.rows[self._warm :])
        return {"rows": sum(self.rows), "steady_rows": rows, "batches": len(self.ends) - self._warm, "seconds": seconds}
