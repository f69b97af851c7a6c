"""Reads an output over and over while somebody writes it: scan.py OUT UNTIL

Every 200 ms all of the pages and rejects in view, until the file UNTIL is there, and then once more. Ends with exit code 1 as soon as a file
cannot be read, a record is there twice, a file that was in view is not any more, or a count has fallen. Speaks on standard error, a line a
look; the last line is one JSON object.
"""

import json
import pathlib
import sys
import threading
import time

import duckdb

PACE_S = 0.2


def look(out):
    """Names of the files in view, and the counts of rows and of different records in them."""
    files = {
        family: sorted(str(path) for path in out.glob(f"{family}/*.parquet") if not path.name.startswith("."))
        for family in ("pages", "rejects")
    }
    parts = [f"SELECT record_id FROM read_parquet({names!r})" for names in files.values() if names]
    if not parts:
        return files, 0, 0
    rows, records = duckdb.sql(f"SELECT count(*), count(DISTINCT record_id) FROM ({' UNION ALL '.join(parts)})").fetchall()[0]
    return files, rows, records


def main():
    out, until = map(pathlib.Path, sys.argv[1:])
    pause = threading.Event()
    scans, counts, seen, before = 0, set(), set(), 0
    while True:
        is_last = until.exists()
        began = time.monotonic()
        files, rows, records = look(out)
        scans += 1
        names = {name for family in files.values() for name in family}
        print(f"scan {scans}: {len(names)} files, {rows} rows", file=sys.stderr, flush=True)
        assert rows == records, f"{rows} rows of {records} records"
        assert seen <= names, f"gone from view: {seen - names}"
        assert rows >= before, f"{rows} rows after {before}"
        counts.add(rows)
        seen, before = names, rows
        if is_last:
            break
        pause.wait(max(0.0, PACE_S - (time.monotonic() - began)))
    print(json.dumps({"scans": scans, "rows": before, "different": len(counts)}), file=sys.stderr)


if __name__ == "__main__":
    main()
