"""The original's Spark job, written well, from files to Parquet: spark_files.py IN OUT CORES WARM

The yardstick of `cargo xtask bench spark`. For each micro-batch (two files of IN) it does what the original does: main domain of the URL,
Tokenizer, HashingTF(50), IDF, StandardScaler and KMeans(k=50, seed=1, maxIter=100), fitted on the batch; then the batch as Parquet. It is the
job that `cargo xtask bench kafka` has beside it, without the topics, and written as well: the main domain by native expressions, batch and result
kept in memory, so that nothing is read, parsed or predicted twice. That one is a script for brokers from its first line to its last, from which
nothing can be imported; so the stages stand here again.

Start-up and the first WARM batches are not counted. Prints one JSON object.
"""

import json
import sys

from pyspark.ml import Pipeline
from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import IDF, HashingTF, StandardScaler, Tokenizer
from pyspark.sql import functions as F

from spark_session import FILES_A_BATCH, Steady, session

SCHEMA = "creation_time TIMESTAMP, id STRING, url STRING, title STRING, keywords STRING, description STRING"
SECOND_LEVEL = ["ac", "co", "com", "edu", "gov", "net", "or", "org"]

source, out = sys.argv[1:3]
cores, warm = map(int, sys.argv[3:])

spark = session(cores)
reader = spark.readStream.format("csv").schema(SCHEMA).option("header", True).option("lineSep", "\n").option("escape", '"')
pages = reader.option("timestampFormat", "yyyy-MM-dd HH:mm:ss.SSS").option("maxFilesPerTrigger", FILES_A_BATCH).load(source)
host = F.lower(F.regexp_extract("url", r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]+)", 1))
labels = F.split(host, r"\.")
n = F.size(labels)
# The label before the public suffix; two-level suffixes such as `co.uk` are looked up in the last two labels.
is_long = (n > 2) & (F.length(F.element_at(labels, -1)) == 2) & F.element_at(labels, -2).isin(SECOND_LEVEL)
domain = F.when(n < 2, host).when(is_long, F.element_at(labels, -3)).otherwise(F.element_at(labels, -2))
pages = pages.withColumn("main_domain", F.coalesce(domain, F.lit("")))

pipeline = Pipeline(
    stages=[
        Tokenizer(inputCol="main_domain", outputCol="tokens"),
        HashingTF(inputCol="tokens", outputCol="rawFeatures", numFeatures=50),
        IDF(inputCol="rawFeatures", outputCol="features"),
        StandardScaler(inputCol="features", outputCol="scaledFeatures"),
        KMeans(k=50, seed=1, featuresCol="scaledFeatures", maxIter=100),
    ]
)
steady = Steady(warm)


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
