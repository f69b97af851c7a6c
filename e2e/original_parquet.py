"""Readers of the original's Parquet, as programs of its users would be: original_parquet.py FOLDER

The whole FOLDER is read at once by pandas, Polars and DuckDB: it must have exactly the original's six columns with its types, and all three
must count the same pages for each cluster. Prints one JSON object of counts, or says what is wrong and exits with 1.
"""

import json
import sys

import duckdb
import pandas
import polars

COLUMNS = {
    "url": "VARCHAR",
    "main_domain": "VARCHAR",
    "cluster": "INTEGER",
    "id": "VARCHAR",
    "creation_time": "TIMESTAMP WITH TIME ZONE",
    "description": "VARCHAR",
}

folder = sys.argv[1]
files = duckdb.sql(f"SELECT * FROM read_parquet('{folder}/*.parquet')")
found = dict(zip(files.columns, map(str, files.types)))
if found != COLUMNS:
    sys.exit(f"{folder} has {found}, not {COLUMNS}")


def counts_of(clusters):
    counts = [0] * 50
    for cluster in clusters:
        counts[cluster] += 1
    return counts


counts = counts_of(cluster for (cluster,) in files.project("cluster").fetchall())
others = {
    "pandas": pandas.read_parquet(folder)["cluster"],
    "Polars": polars.read_parquet(f"{folder}/*.parquet")["cluster"],
}
for reader, clusters in others.items():
    if counts_of(clusters) != counts:
        sys.exit(f"{reader} counts {counts_of(clusters)}, DuckDB {counts}")
print(json.dumps({"pages": sum(counts), "counts": counts}))
