"""What Spark makes of the same pages, stage by stage: original_stages.py SET...

Each SET is a folder in which `cargo run --example original` has left `rows.jsonl` and `fitted.json`. Here the same main domains go through
Spark's own Tokenizer, HashingTF(50), IDF, StandardScaler and KMeans(seed=1, maxIter=100), and every stage is compared:

  main domain       that of the package tldextract, ICANN suffixes alone, for the same URL; a list of suffixes is never the newest, so
                    what differs is counted and shown, and more than one in a thousand is too many
  tokens, features  the same texts and the same numbers
  tf, idf, scaled   to 1e-9, absolutely for what is below 1 and relatively above
  cost              of our clusters, by Spark's vectors and our labels: not above 1.01 x Spark's + 1e-6 x the total variance, and what we say
                    it is

Prints one JSON object a set, or says what is wrong and exits with 1.
"""

import json
import math
import os
import sys
import time

import numpy
import tldextract
from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import IDF, HashingTF, StandardScaler, Tokenizer
from pyspark.sql import SparkSession

CORES = 2
FEATURES = 50
SCHEMA = "row INT, domain STRING"
NEAR = 1e-9
suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=False)


def near(ours, theirs):
    return abs(ours - theirs) / max(1.0, abs(theirs))


def vector(entries):
    dense = numpy.zeros(FEATURES)
    for feature, value in entries:
        dense[feature] = value
    return dense


def furthest(name, ours, theirs, where):
    """How far the furthest component is off; ends everything when that is too far."""
    far = [near(a, b) for a, b in zip(ours, theirs)]
    # Not `max(far) <= NEAR`: of what is no number it may give either.
    if len(ours) != len(theirs) or not all(each <= NEAR for each in far):
        sys.exit(f"{name} of {where}: ours {list(ours)}, Spark's {list(theirs)}")
    return max(far, default=0.0)


def main_domains(rows):
    others = [(row["url"], row["domain"], suffixes(row["url"]).domain) for row in rows]
    others = [other for other in others if other[1] != other[2]]
    if 1000 * len(others) > len(rows):
        sys.exit(f"{len(others)} of {len(rows)} main domains are not tldextract's: {others[:5]}")
    return others


def compare(spark, folder):
    with open(os.path.join(folder, "rows.jsonl"), encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    with open(os.path.join(folder, "fitted.json"), encoding="utf-8") as file:
        fitted = json.load(file)
    others = main_domains(rows)
    pages = spark.read.schema(SCHEMA).json(os.path.join(folder, "rows.jsonl")).persist()
    pages.count()
    stages = {}

    def features():
        """Everything up to the scaled vectors, fitted; K-Means goes over them again and again."""
        tokens = Tokenizer(inputCol="domain", outputCol="tokens").transform(pages)
        tf = HashingTF(inputCol="tokens", outputCol="tf", numFeatures=FEATURES).transform(tokens)
        stages["idf"] = IDF(inputCol="tf", outputCol="tfidf").fit(tf)
        tfidf = stages["idf"].transform(tf)
        stages["scaler"] = StandardScaler(inputCol="tfidf", outputCol="scaled").fit(tfidf)
        return stages["scaler"].transform(tfidf)

    worst = {"tf": 0.0, "tfidf": 0.0, "scaled": 0.0}
    found = features().orderBy("row").collect()
    if len(found) != len(rows):
        sys.exit(f"{folder}: {len(rows)} rows, Spark has {len(found)}")
    hashing = HashingTF(numFeatures=FEATURES)
    known = {}
    vectors = numpy.zeros((len(rows), FEATURES))
    for at, (ours, theirs) in enumerate(zip(rows, found)):
        if ours["tokens"] != theirs["tokens"]:
            sys.exit(f"tokens of {ours['domain']!r}: ours {ours['tokens']}, Spark's {theirs['tokens']}")
        for token, feature in zip(ours["tokens"], ours["features"]):
            if known.setdefault(token, None) is None:
                known[token] = hashing.indexOf(token)
            if known[token] != feature:
                sys.exit(f"{token!r} is feature {feature} with us, {known[token]} with Spark")
        for stage in worst:
            far = furthest(stage, vector(ours[stage]), theirs[stage].toArray(), ours["domain"])
            worst[stage] = max(worst[stage], far)
        vectors[at] = theirs["scaled"].toArray()
    worst["idf"] = furthest("idf", fitted["idf"], stages["idf"].idf.toArray(), folder)
    worst["deviation"] = furthest("deviation", fitted["deviation"], stages["scaler"].std.toArray(), folder)

    variance = float(((vectors - vectors.mean(axis=0)) ** 2).sum())
    fits = []
    for at, ours in enumerate(fitted["fits"]):
        start = time.perf_counter()
        model = KMeans(k=ours["k"], seed=1, featuresCol="scaled", maxIter=100).fit(features())
        model.transform(features()).write.format("noop").mode("overwrite").save()
        seconds = time.perf_counter() - start
        theirs = model.summary.trainingCost
        labels = numpy.array([row["clusters"][at] for row in rows])
        cost = 0.0
        for label in range(ours["clusters"]):
            members = vectors[labels == label]
            cost += float(((members - members.mean(axis=0)) ** 2).sum())
        slack = 1e-6 * variance
        if abs(cost - ours["cost"]) > slack or not math.isfinite(cost):
            sys.exit(f"{folder}, k={ours['k']}: we say {ours['cost']}, our clusters cost {cost}")
        if cost > 1.01 * theirs + slack:
            sys.exit(f"{folder}, k={ours['k']}: our clusters cost {cost}, Spark's {theirs}")
        if fitted["points"] <= ours["k"] and cost > slack:
            sys.exit(f"{folder}, k={ours['k']}: {fitted['points']} distinct vectors could cost nothing, ours cost {cost}")
        fits.append({"k": ours["k"], "ours": cost, "spark": theirs, "seconds": ours["seconds"], "spark_seconds": seconds})
    pages.unpersist()
    return {
        "set": os.path.basename(folder),
        "rows": len(rows),
        "points": fitted["points"],
        "worst": worst,
        "variance": variance,
        "other_domains": others[:5],
        "n_other_domains": len(others),
        "fits": fits,
    }


def main():
    spark = (
        SparkSession.builder.appName("windrow's stages")
        .master(f"local[{CORES}]")
        .config("spark.driver.memory", "2g")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", CORES)
        .config("spark.default.parallelism", CORES)
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    for folder in sys.argv[1:]:
        print(json.dumps(compare(spark, folder)), flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
