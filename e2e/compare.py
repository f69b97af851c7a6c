"""Compares two outputs of Windrow in both directions: compare.py LEFT RIGHT

Counts the rows of pages, rejects and lineage that only one of them has, however they are spread over files. Prints one JSON
object; exit code 1 when there is such a row.
"""

import json
import pathlib
import sys

import duckdb

FAMILIES = {
    "pages": "record_id, cluster, slot, micro_cluster, novel, score, label, creation_time, id, url, title, keywords, description, domain",
    "rejects": "record_id, reason, raw",
    # Everything but the epoch: it depends on the length of rolls.
    "lineage": "* EXCLUDE (epoch)",
}


def rows(out, family):
    if not list(pathlib.Path(out).glob(f"{family}/*.parquet")):
        return None
    return f"SELECT {FAMILIES[family]} FROM '{out}/{family}/*.parquet'"


def count(query):
    return duckdb.sql(f"SELECT count(*) FROM ({query})").fetchall()[0][0]


def main():
    left, right = sys.argv[1:]
    answer = {}
    for family in FAMILIES:
        queries = [rows(left, family), rows(right, family)]
        if None in queries:
            only = [0 if query is None else count(query) for query in queries]
            answer[family] = {"rows": 0, "only_left": only[0], "only_right": only[1]}
            continue
        answer[family] = {
            "rows": count(queries[0]),
            "only_left": count(f"{queries[0]} EXCEPT ALL {queries[1]}"),
            "only_right": count(f"{queries[1]} EXCEPT ALL {queries[0]}"),
        }
    print(json.dumps(answer))
    sys.exit(any(family["only_left"] or family["only_right"] for family in answer.values()) or not answer["pages"]["rows"])


if __name__ == "__main__":
    main()
