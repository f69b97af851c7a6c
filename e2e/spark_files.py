"""The original's Spark job, written well, from files to Parquet: spark_files.py IN OUT CORES WARM

The yardstick of `cargo xtask bench spark`: the job of examples/spark/original_job.py without brokers. A micro-batch is two files of IN. As there, batch
and result are kept in memory, so that nothing is read, parsed or predicted twice.

Start-up and the first WARM batches are not counted. Prints one JSON object.
"""

import json
import os
import sys

from pyspark.sql import functions as F

from spark_session import FILES_A_BATCH, Steady, session

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../examples/spark"))
from original_job import SCHEMA, clusters, main_domain  # noqa: E402

source, out = sys.argv[1:3]
cores, warm = map(int, sys.argv[3:])

spark = session(cores)
reader = spark.readStream.format("csv").schema(SCHEMA).option("header", True).option("lineSep", "\n").option("escape", '"')
pages = reader.option("timestampFormat", "yyyy-MM-dd HH:mm:ss.SSS").option("maxFilesPerTrigger", FILES_A_BATCH).load(source)
pages = pages.withColumn("main_domain", main_domain())
pipeline, steady = clusters(), Steady(warm)


def one_batch(batch, _number):
    batch = batch.persist()
    count = batch.count()
    model = pipeline.fit(batch)
    columns = ["url", "main_domain", F.col("prediction").alias("cluster"), "id", "creation_time", "description"]
    model.transform(batch).select(*columns).write.mode("append").parquet(out + "/pages")
    batch.unpersist()
    steady.ended(count)


query = pages.writeStream.foreachBatch(one_batch).option("checkpointLocation", out + "/checkpoint").trigger(availableNow=True).start()
query.awaitTermination()
told = steady.told()
written = spark.read.parquet(out + "/pages").count()
if written != told["rows"]:
    sys.exit(f"read {told['rows']} rows, and wrote {written}: a yardstick that drops rows is none")
print(json.dumps(told))
spark.stop()
