"""Whether `windrow changes` says what the Parquet holds: changes.py OUT SINCE UNTIL < changes.jsonl

Counts each cluster's pages on both sides of SINCE by itself, decides by the words of docs/how-to/what-changed.md what is new, gone, grown,
shrunk or renamed, and compares: the clusters of each kind and their order, pages, shares, labels, new domains, and that titles are those of
its pages. Alarms are those of the lineage that were raised at a page of that time. Prints one JSON object; exit code 1 when something is not so.
"""

import collections
import json
import math
import sys

import duckdb

out, since, until = sys.argv[1:]
told = [json.loads(line) for line in sys.stdin]
drifted, told = [one for one in told if one["change"] == "drifted"], [one for one in told if one["change"] != "drifted"]
wrong = []
PAGES = f"(SELECT * FROM read_parquet('{out}/pages/*.parquet', filename = true, file_row_number = true) WHERE creation_time >= TIMESTAMPTZ '1990-01-01 00:00:00+00')"
duckdb.sql("SET TimeZone = 'UTC'")
begin, end = f"TIMESTAMPTZ '{since} 00:00:00+00'", f"TIMESTAMPTZ '{until} 00:00:00+00'"
before = f"{begin} - ({end} - {begin})"
SIDE = f"CASE WHEN creation_time >= {end} THEN 'later' WHEN creation_time >= {begin} THEN 'now' WHEN creation_time >= {before} THEN 'before' ELSE 'earlier' END"


def counted(sql):
    return duckdb.sql(sql).fetchall()


pages = collections.defaultdict(lambda: collections.Counter())
for cluster, side, count in counted(f"SELECT cluster, {SIDE}, count(*) FROM {PAGES} GROUP BY ALL"):
    pages[cluster][side] = count
total = {side: sum(counts[side] for counts in pages.values()) for side in ("before", "now")}
labels = {
    (cluster, side): label
    for cluster, side, label in counted(f"""SELECT cluster, {SIDE} AS side, last(label ORDER BY filename, file_row_number) FROM {PAGES}
                                            GROUP BY ALL""")
}


def surprise(count, everything):
    """G-squared of a table of two by two (Dunning 1993)."""
    rows = [[count[side], everything[side] - count[side]] for side in ("before", "now")]
    n = sum(map(sum, rows))
    columns = [sum(column) for column in zip(*rows)]
    return 2 * sum(cell * math.log(cell * n / (sum(row) * column)) for row in rows for cell, column in zip(row, columns) if cell)


def alike(a, b):
    a, b = set(a.split(", ")), set(b.split(", "))
    return len(a & b) / len(a | b)


def kind(cluster, counts):
    was, now = counts["before"], counts["now"]
    if now >= 3 and was == 0 and counts["earlier"] == 0:
        return "new"
    if was >= 3 and now == 0:
        return "gone"
    share = {side: counts[side] / max(1, total[side]) for side in ("before", "now")}
    if max(was, now) >= 3 and surprise(counts, total) > 10.83:
        if share["now"] >= 1.5 * share["before"]:
            return "grown"
        if share["before"] >= 1.5 * share["now"]:
            return "shrunk"
    if min(was, now) >= 3 and alike(labels[cluster, "before"], labels[cluster, "now"]) < 0.5:
        return "renamed"
    return None


ORDER = ["new", "grown", "shrunk", "gone", "renamed"]
expected = [(kind(cluster, counts), cluster) for cluster, counts in pages.items()]
expected = [(what, cluster) for what, cluster in expected if what]
expected.sort(key=lambda one: (ORDER.index(one[0]), -pages[one[1]]["before" if one[0] == "gone" else "now"], one[1]))
found = [(change["change"], change["cluster"]) for change in told]
if found != expected:
    wrong.append(f"told are {found}, in the Parquet are {expected}")

domains = collections.defaultdict(dict)
for cluster, domain, count in counted(f"""
        SELECT cluster, domain, count(*) FILTER ({SIDE} = 'now') AS n FROM {PAGES} WHERE domain <> ''
        GROUP BY ALL HAVING n > 0 AND count(*) FILTER ({SIDE} IN ('before', 'earlier')) = 0"""):
    domains[cluster][domain] = count
for change in told:
    cluster = change["cluster"]
    counts = pages[cluster]
    side = "before" if change["change"] == "gone" else "now"
    titles = {title for (title,) in counted(f"SELECT DISTINCT title FROM {PAGES} WHERE cluster = {cluster} AND {SIDE} = '{side}'")}
    many = len([title for title in titles if title.strip()])
    new = sorted(domains[cluster].items(), key=lambda one: (-one[1], one[0]))
    was = labels.get((cluster, "before"))
    facts = {
        "pages": [counts["before"], counts["now"]],
        "share": [counts[side] / max(1, total[side]) for side in ("before", "now")],
        "label": labels[cluster, side],
        "was": was if side == "now" and was not in (None, labels[cluster, "now"]) else None,
        "new_domains": [{"domain": domain, "pages": count} for domain, count in new[:5]],
        "new_domains_total": len(new),
    }
    for name, fact in facts.items():
        if change[name] != fact:
            wrong.append(f"{name} of {cluster} is {change[name]} and not {fact}")
    if not set(change["titles"]) <= titles or len(change["titles"]) != min(3, many):
        wrong.append(f"titles of {cluster}: {change['titles']}")
    for number in (counts["before"], counts["now"]):
        if number and f"{number:,}" not in change["said"] and change["change"] not in ("new", "gone"):
            wrong.append(f"{number} is not in: {change['said']}")

TIMES = f"""SELECT row_number() OVER place AS page, last_value(CASE WHEN creation_time >= TIMESTAMPTZ '1990-01-01 00:00:00+00' THEN creation_time END IGNORE NULLS)
                   OVER place AS creation_time FROM read_parquet('{out}/pages/*.parquet', filename = true, file_row_number = true)
            WINDOW place AS (ORDER BY filename, file_row_number)"""
alarms = counted(f"""SELECT position, cluster, measure FROM read_parquet('{out}/lineage/*.parquet') JOIN ({TIMES}) ON page = position
                     WHERE event = 'drifted' AND {SIDE} = 'now'""")
said = [(one["position"], one["cluster"], one["measure"]) for one in drifted]
if sorted(said) != sorted(alarms):
    wrong.append(f"alarms told are {said}, in the lineage are {alarms}")

by_kind = collections.Counter(what for what, _ in found)
by_kind["drifted"] = len(drifted)
print(json.dumps({"since": since, "until": until, "pages": [total["before"], total["now"]], **by_kind, "wrong": wrong[:5]}))
sys.exit(bool(wrong))
