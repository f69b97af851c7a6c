"""DuckDB's own conversion of a CSV to Parquet with zstd on two threads: duckdb_convert.py IN.csv OUT.parquet

Every column as text but the time, as we write it. Prints the seconds of the conversion alone, without the start of Python.
"""

import json
import sys
import time

import duckdb

source, target = sys.argv[1:]
connection = duckdb.connect(config={"threads": 2})
start = time.perf_counter()
connection.execute(f"COPY (SELECT * FROM read_csv('{source}', header = true, quote = '\"', escape = '\"', new_line = '\\n',"
                   " columns = {'creation_time': 'TIMESTAMP', 'id': 'VARCHAR', 'url': 'VARCHAR', 'title': 'VARCHAR',"
                   f" 'keywords': 'VARCHAR', 'description': 'VARCHAR'}})) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "rows": connection.execute(f"SELECT count(*) FROM '{target}'").fetchall()[0][0]}))
