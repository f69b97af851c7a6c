"""Reads Windrow's Parquet with DuckDB, Polars and pandas and compares every value with the input.

    readers.py --out DIR --input FILE

What the input holds is Python's csv module's word. Rows are matched by their order: a record id is `source:offset`, so pages and
rejects together, sorted by it, are the rows of the input. Prints one JSON object; exit code 1 when anything differs.
"""

import argparse
import csv
import datetime
import gzip
import io
import json
import pathlib
import sys

import duckdb
import pandas
import polars

TEXT = ["id", "url", "title", "keywords", "description"]
COLUMNS = ["record_id", "cluster", "slot", "micro_cluster", "novel", "score", "label", "creation_time", *TEXT, "domain"]
KINDS = dict.fromkeys(COLUMNS, "text") | {
    "cluster": "int32", "slot": "int32", "micro_cluster": "int64", "novel": "bool", "score": "double", "creation_time": "time",
}
DUCKDB = {"text": "VARCHAR", "int32": "INTEGER", "int64": "BIGINT", "bool": "BOOLEAN", "double": "DOUBLE",
          "time": "TIMESTAMP WITH TIME ZONE"}
POLARS = {"text": polars.String, "int32": polars.Int32, "int64": polars.Int64, "bool": polars.Boolean, "double": polars.Float64,
          "time": polars.Datetime("us", "UTC")}
PANDAS = {"text": ("str", "object", "string", "category"), "int32": ("int32",), "int64": ("int64",), "bool": ("bool",),
          "double": ("float64",), "time": ("datetime64[us, UTC]",)}
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)


def input_rows(path):
    """Rows of the input as dictionaries, by the csv module."""
    opener = gzip.open if path.endswith(".gz") else open
    csv.field_size_limit(1 << 24)
    with opener(path, "rb") as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        return list(csv.DictReader(text))


def micros(text):
    """Microseconds of a creation time as the data sets write it; None when there is none."""
    if not text.strip():
        return None
    time = datetime.datetime.fromisoformat(text.strip())
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (time - EPOCH) // datetime.timedelta(microseconds=1)


def position(record_id):
    source, offset = record_id.split(":")
    return int(source), int(offset)


def with_duckdb(glob, wrong):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    types = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE SELECT * FROM '{glob}'").fetchall()}
    for name in COLUMNS:
        if not (types[name] == DUCKDB[KINDS[name]] or KINDS[name] == "text" and types[name].startswith("ENUM")):
            wrong.append(f"duckdb: {name} is {types[name]}")
    names = ", ".join(name if name != "creation_time" else "epoch_us(creation_time)" for name in COLUMNS)
    rows = connection.execute(f"SELECT {names} FROM '{glob}'").fetchall()
    return dict(zip(COLUMNS, map(list, zip(*rows))))


def with_polars(glob, wrong):
    frame = polars.read_parquet(glob)
    for name in COLUMNS:
        kind = frame.schema[name]
        if not (kind == POLARS[KINDS[name]] or KINDS[name] == "text" and kind.base_type() in (polars.Categorical, polars.Enum)):
            wrong.append(f"polars: {name} is {kind}")
    frame = frame.with_columns(polars.col("creation_time").dt.epoch("us"))
    return {name: frame[name].to_list() for name in COLUMNS}


def with_pandas(files, wrong):
    frames = [pandas.read_parquet(file) for file in files]
    for name in COLUMNS:
        for kind in {str(frame[name].dtype) for frame in frames}:
            if kind not in PANDAS[KINDS[name]]:
                wrong.append(f"pandas: {name} is {kind}")
    columns = {name: [value for frame in frames for value in frame[name].tolist()] for name in COLUMNS}
    times = columns["creation_time"]
    columns["creation_time"] = [None if time is pandas.NaT else time.value // 1000 for time in times]
    return columns


def compare(columns, reader, expected, rejected, wrong):
    """Every value of every column against the input, in the input's order."""
    places = [position(record_id) for record_id in columns["record_id"]]
    if len(set(places)) != len(places):
        wrong.append(f"{reader}: a record id twice")
    order = sorted(range(len(places)), key=places.__getitem__)
    every = sorted(places + rejected)
    if len(every) != len(expected):
        wrong.append(f"{reader}: {len(places)} pages + {len(rejected)} rejects, {len(expected)} rows in the input")
        return
    rows = {place: row for place, row in zip(every, expected)}
    for name in [*TEXT, "creation_time"]:
        values = columns[name]
        for index in order:
            text = rows[places[index]].get(name) or ""
            want = micros(text) if name == "creation_time" else text
            if values[index] != want:
                wrong.append(f"{reader}: {name} of {columns['record_id'][index]} is {values[index]!r}, the input has {want!r}")
                break
    if any(not 0 <= score <= 1 for score in columns["score"]):
        wrong.append(f"{reader}: a score outside [0, 1]")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--input", required=True)
    arguments = arguments.parse_args()
    out = pathlib.Path(arguments.out)
    wrong, expected = [], input_rows(arguments.input)
    rejects = str(out / "rejects" / "*.parquet")
    rejected = duckdb.sql(f"SELECT record_id FROM '{rejects}'").fetchall() if list(out.glob("rejects/*.parquet")) else []
    rejected = [position(record_id) for (record_id,) in rejected]
    glob, files = str(out / "pages" / "*.parquet"), sorted(out.glob("pages/*.parquet"))
    read = {"duckdb": with_duckdb(glob, wrong), "polars": with_polars(glob, wrong), "pandas": with_pandas(files, wrong)}
    for reader, columns in read.items():
        compare(columns, reader, expected, rejected, wrong)
    by_id = {reader: sorted(zip(*(columns[name] for name in COLUMNS)), key=lambda row: row[0]) for reader, columns in read.items()}
    for reader in ("polars", "pandas"):
        if repr(by_id[reader]) != repr(by_id["duckdb"]):
            wrong.append(f"{reader} and duckdb read different values")
    print(json.dumps({"rows": len(expected), "pages": len(read["duckdb"]["id"]), "rejects": len(rejected), "wrong": wrong}))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
