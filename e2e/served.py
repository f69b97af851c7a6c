"""Pages of each cluster as DuckDB counts them in the Parquet of OUT: served.py OUT. Prints one JSON object."""

import json
import sys

import duckdb

rows = duckdb.sql(f"SELECT cluster, count(*) FROM '{sys.argv[1]}/pages/*.parquet' GROUP BY 1").fetchall()
print(json.dumps({str(cluster): pages for cluster, pages in rows}))
