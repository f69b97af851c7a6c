"""The job of the scripts that Windrow replaces, written well: it reads pages from a Kafka topic and clusters each micro-batch by itself.

    spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.12:3.5.0 original_job.py --brokers localhost:9092

with the connector of your Spark: `…_2.12:3.5.0`, `…_2.13:4.2.0`. The topics `cluster_0` to `cluster_49` must be there (`windrow topics create`).
Ctrl-C ends it; the same line goes on from its checkpoint.

It is the yardstick of Windrow's benchmarks, and does for each micro-batch what the scripts do: main domain of the URL, Tokenizer,
HashingTF(50), IDF, StandardScaler and KMeans(k=50, seed=1, maxIter=100), fitted on the batch; then the batch as Parquet, and each row on
the Kafka topic of its cluster, as the scripts' four fields. What makes it quicker than they were, with the same answers:

- the main domain by native expressions, not by a Python function a row (below);
- one Kafka write a batch with a column of topics, not a producer a row;
- the batch and what the model says of it are kept in memory, so nothing is read, parsed or predicted twice;
- as many partitions as cores, and a shuffle as wide.

The main domain is the label before the public suffix. Without Python the suffix list is a set of two-level suffixes (`co.uk`) that a
native expression looks the last two labels up in; the yardstick is none the slower for it.

Parquet and topics are at least once, as the scripts' were: a batch that a kill cut off is written again.

`--measure BATCHES` ends after so many batches and prints one JSON object with the rate of the steady ones: their rows by the time from the end
of the last warm batch to the end of the last batch. The first batches load and compile Spark's classes, and do not count.
"""

import argparse
import json
import sys
import time

from pyspark.ml import Pipeline
from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import IDF, HashingTF, StandardScaler, Tokenizer
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

WARM = 3
SCHEMA = "creation_time TIMESTAMP, id STRING, url STRING, title STRING, keywords STRING, description STRING"
SECOND_LEVEL = ["ac", "co", "com", "edu", "gov", "net", "or", "org"]


def arguments():
    parser = argparse.ArgumentParser(prog="original_job.py", description="Clusters each micro-batch of pages by itself, by their main domains.")
    parser.add_argument("--brokers", default="localhost:9092", metavar="HOST:PORT", help="Kafka's brokers (%(default)s)")
    parser.add_argument("--topic", default="topic_url", help="topic of the pages, JSON objects (%(default)s)")
    parser.add_argument("--prefix", default="cluster_", help="what the topics of the clusters are called before their number (%(default)s)")
    parser.add_argument("--out", default="tmp/output", metavar="DIR", help="folder of the Parquet (%(default)s)")
    parser.add_argument("--checkpoint", default="tmp/checkpoint", metavar="DIR", help="Spark's checkpoint (%(default)s)")
    parser.add_argument("--rows-a-batch", type=int, default=10_000, metavar="N", help="most rows of a micro-batch (%(default)s)")
    parser.add_argument("--measure", type=int, default=0, metavar="BATCHES", help="end after so many batches, and say how fast they were")
    args = parser.parse_args()
    if args.rows_a_batch < 1 or args.measure and args.measure <= WARM:
        parser.error(f"a batch has a row at least, and of those that are measured the first {WARM} do not count")
    return args


def session():
    """Spark as it was called, with what the job is quick by."""
    spark = SparkSession.builder.appName("original").config("spark.locality.wait", "0").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    settings = {
        "spark.sql.shuffle.partitions": spark.sparkContext.defaultParallelism,
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.streaming.metricsEnabled": "false",
    }
    for key, value in settings.items():
        spark.conf.set(key, value)
    return spark


def main_domain():
    host = F.lower(F.regexp_extract("url", r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]+)", 1))
    labels = F.split(host, r"\.")
    n = F.size(labels)
    is_long = (n > 2) & (F.length(F.element_at(labels, -1)) == 2) & F.element_at(labels, -2).isin(SECOND_LEVEL)
    domain = F.when(n < 2, host).when(is_long, F.element_at(labels, -3)).otherwise(F.element_at(labels, -2))
    return F.coalesce(domain, F.lit(""))


def pages(spark, args):
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", args.brokers)
        .option("subscribe", args.topic)
        .option("startingOffsets", "earliest")
        .option("kafka.isolation.level", "read_committed")
        .option("maxOffsetsPerTrigger", args.rows_a_batch)
        # One partition of the topic feeds all cores.
        .option("minPartitions", spark.sparkContext.defaultParallelism)
        .load()
        .select(F.from_json(F.col("value").cast("string"), SCHEMA).alias("page"))
        .select("page.*")
        .withColumn("main_domain", main_domain())
    )


def clusters():
    """What is fitted on each batch."""
    return Pipeline(
        stages=[
            Tokenizer(inputCol="main_domain", outputCol="tokens"),
            HashingTF(inputCol="tokens", outputCol="rawFeatures", numFeatures=50),
            IDF(inputCol="rawFeatures", outputCol="features"),
            StandardScaler(inputCol="features", outputCol="scaledFeatures"),
            KMeans(k=50, seed=1, featuresCol="scaledFeatures", maxIter=100),
        ]
    )


def each_batch(args, ended):
    """Writes a batch, and tells its rows."""
    pipeline = clusters()
    value = F.to_json(F.struct("id", "creation_time", "main_domain", "description"), {"ignoreNullFields": "false"})
    columns = ["url", "main_domain", F.col("prediction").alias("cluster"), "id", "creation_time", "description"]
    topic = F.concat(F.lit(args.prefix), F.col("cluster").cast("string"))
    kafka = {"kafka.bootstrap.servers": args.brokers, "kafka.linger.ms": "20", "kafka.compression.type": "lz4"}

    def one_batch(batch, _number):
        batch = batch.persist()
        count = batch.count()
        if count:
            result = pipeline.fit(batch).transform(batch).select(*columns).persist()
            result.write.mode("append").parquet(args.out)
            result.select(topic.alias("topic"), value.alias("value")).write.format("kafka").options(**kafka).save()
            result.unpersist()
        batch.unpersist()
        ended(count)

    return one_batch


def measured(query, rows, ends, args):
    """Waits for the batches that are measured, and says how fast they were."""
    while query.isActive and len(ends) < args.measure:
        time.sleep(0.05)
    if query.exception():
        sys.exit(str(query.exception()))
    query.stop()
    ends, rows = ends[: args.measure], rows[: args.measure]
    # Commits of the producer take offsets too, so a batch of so many offsets has a few rows less.
    if len(ends) < args.measure or min(rows) < 0.99 * args.rows_a_batch:
        sys.exit(f"wanted {args.measure} batches of {args.rows_a_batch} rows, got {rows}")
    seconds, steady = ends[-1] - ends[WARM - 1], sum(rows[WARM:])
    print(json.dumps({"rows": sum(rows), "steady_rows": steady, "seconds": seconds, "rows_per_s": steady / seconds}))


def main():
    args = arguments()
    spark, rows, ends = session(), [], []

    def ended(count):
        ends.append(time.perf_counter())
        rows.append(count)
        if not args.measure:
            print(f"{count} pages", flush=True)

    write = pages(spark, args).writeStream.foreachBatch(each_batch(args, ended))
    query = write.option("checkpointLocation", args.checkpoint).start()
    if args.measure:
        measured(query, rows, ends, args)
    else:
        query.awaitTermination()
    spark.stop()


if __name__ == "__main__":
    main()
