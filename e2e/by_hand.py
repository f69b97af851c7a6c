"""What users did to an output, by its lineage: by_hand.py OUT prints one JSON object, event to how often it is there.

Ends with exit code 1 when a page was delivered to a cluster from the page on at which that cluster ended, as of a merge, or when the model moved
a theme that a user holds: between where he put it and where he let go of it, unless its cluster died.
"""

import json
import sys

import duckdb

EVENTS = "('renamed', 'pinned', 'cluster_merged', 'cluster_split', 'cluster_back', 'undone', 'micro_placed', 'micro_released')"


def main():
    (out,) = sys.argv[1:]
    lineage = f"'{out}/lineage/*.parquet'"
    found = duckdb.sql(f"SELECT event, count(*) FROM {lineage} WHERE event IN {EVENTS} GROUP BY 1 ORDER BY 1").fetchall()
    print(json.dumps(dict(found)))
    # Pages are learnt in the order of their rows; here each input is read to its end before the next.
    late = duckdb.sql(f"""
        WITH ordered AS (
            SELECT cluster, row_number() OVER (
                ORDER BY split_part(record_id, ':', 1)::BIGINT, split_part(record_id, ':', 2)::BIGINT) - 1 AS position
            FROM '{out}/pages/*.parquet')
        SELECT count(*) FROM ordered JOIN {lineage} AS ended USING (cluster)
        WHERE ended.event = 'cluster_died' AND ordered.position >= ended.position""").fetchall()[0][0]
    if late:
        print(f"{late} pages were delivered to clusters that had ended", file=sys.stderr)
    strayed = duckdb.sql(f"""
        WITH placed AS (
            SELECT event, why, lag(event) OVER (PARTITION BY micro_cluster ORDER BY filename, file_row_number) AS before
            FROM read_parquet({lineage}, filename=true, file_row_number=true)
            WHERE event IN ('micro_placed', 'micro_released', 'micro_moved'))
        SELECT count(*) FROM placed WHERE event = 'micro_moved' AND before = 'micro_placed' AND why IS DISTINCT FROM 'orphaned'""").fetchall()[0][0]
    if strayed:
        print(f"{strayed} themes were moved by the model while a user held them", file=sys.stderr)
    sys.exit(late + strayed > 0)


if __name__ == "__main__":
    main()
