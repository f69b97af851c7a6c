"""Whether `windrow changes` says what the Parquet holds: changes.py OUT SINCE UNTIL < changes.jsonl

Follows the lineage to see which clusters were born, ended and were merged or touched by hand, counts each cluster's pages on both sides of SINCE,
decides by the words of docs/how-to/what-changed.md what is new, grown, shrunk, gone, renamed or edited, and compares: the clusters of each kind
and their order, pages, shares, labels, new domains, that titles are those of its pages, and that only what ended is said to have. Alarms are
those of the lineage that were raised at a page of that time. Prints one JSON object; exit code 1 when something is not so.
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
duckdb.sql("SET TimeZone = 'UTC'")
begin, end = f"TIMESTAMPTZ '{since} 00:00:00+00'", f"TIMESTAMPTZ '{until} 00:00:00+00'"
before = f"{begin} - ({end} - {begin})"
SIDE = f"CASE WHEN creation_time >= {end} THEN 'later' WHEN creation_time >= {begin} THEN 'now' WHEN creation_time >= {before} THEN 'before' ELSE 'earlier' END"
ALL = f"read_parquet('{out}/pages/*.parquet', filename = true, file_row_number = true)"
TIMES = f"""SELECT row_number() OVER place AS page, last_value(CASE WHEN creation_time >= TIMESTAMPTZ '1990-01-01 00:00:00+00' THEN creation_time END IGNORE NULLS)
                   OVER place AS creation_time FROM {ALL} WINDOW place AS (ORDER BY filename, file_row_number)"""


def counted(sql):
    return duckdb.sql(sql).fetchall()


# What the model does is of the page that brought it about, which is learnt next; what a user does, of the page before.
HAND = {"renamed", "pinned", "micro_placed", "micro_released", "cluster_merged", "cluster_split", "cluster_back", "undone"}
events = counted(f"""
    WITH times AS ({TIMES}), events AS (SELECT * FROM read_parquet('{out}/lineage/*.parquet', filename = true, file_row_number = true, union_by_name = true))
    SELECT event, cluster, from_cluster, into_cluster, label, {SIDE} AS side FROM events LEFT JOIN times
    ON page = CASE WHEN list_contains({sorted(HAND)}, event) THEN position ELSE least(position + 1, (SELECT max(page) FROM times)) END
    WHERE event <> 'drifted' ORDER BY events.filename, events.file_row_number""")
born, ended, stands, split = {}, set(), {}, set()
names, own, called, renamed, touched, merged, returned = {}, {}, {}, set(), set(), {}, set()
for event, cluster, source, into, label, side in events:
    if side == "later":
        continue
    if side == "now" and not called.get(cluster):
        called[cluster] = names.get(cluster) or own.get(cluster)
    if event == "cluster_born":
        born[cluster] = side
    elif event == "cluster_died":
        ended.add(cluster)
    elif event in ("cluster_merged", "cluster_back"):
        stands[cluster] = into
    elif event == "relabelled":
        own[cluster] = label
    elif event == "renamed":
        if side == "now":
            renamed.add(cluster)
        names[cluster] = label
    if side == "now" and event in HAND:
        touched |= {one for one in (cluster, source, into) if one is not None}
        if event == "cluster_merged":
            merged[cluster] = into
        if event == "cluster_split":
            split.add(cluster)
        if event == "cluster_back":
            returned.add(cluster)
touched -= returned


def whole(cluster):
    while cluster in stands:
        cluster = stands[cluster]
    return cluster


duckdb.sql("CREATE TABLE wholes (cluster INTEGER, whole INTEGER)")
if stands:
    duckdb.executemany("INSERT INTO wholes VALUES (?, ?)", [(cluster, whole(cluster)) for cluster in stands])
PAGES = f"""(SELECT * REPLACE (coalesce(whole, cluster) AS cluster), whole IS NULL AS is_own FROM {ALL} LEFT JOIN wholes USING (cluster)
             WHERE creation_time >= TIMESTAMPTZ '1990-01-01 00:00:00+00')"""

pages = collections.defaultdict(lambda: collections.Counter())
for cluster, side, count in counted(f"SELECT cluster, {SIDE}, count(*) FROM {PAGES} GROUP BY ALL"):
    pages[cluster][side] = count
total = {side: sum(counts[side] for counts in pages.values()) for side in ("before", "now")}
labels = {
    (cluster, side): label
    for cluster, side, label in counted(f"""SELECT cluster, {SIDE} AS side, last(label ORDER BY filename, file_row_number) FROM {PAGES}
                                            WHERE is_own GROUP BY ALL""")
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


def naming(cluster):
    """The label, and the one before if that was another."""
    was, now = labels.get((cluster, "before")), labels.get((cluster, "now"))
    if cluster in renamed:
        label = names[cluster] or own.get(cluster) or now or was
        return label, called[cluster] if called[cluster] != label else None
    label = now or was or names.get(cluster) or own.get(cluster)
    return label, was if now and was != now else None


def kind(cluster):
    counts = pages[cluster]
    was, now = counts["before"], counts["now"]
    share = {side: counts[side] / max(1, total[side]) for side in ("before", "now")}
    is_first = born.get(cluster) == "now" and cluster not in split and was + counts["earlier"] == 0
    by_chance = surprise(counts, total) <= 10.83 and not (is_first and total["before"] == 0)
    if max(was, now) >= 3 and not by_chance:
        if share["before"] >= 1.5 * share["now"]:
            return "gone" if cluster in ended else "shrunk"
        if share["now"] >= 1.5 * share["before"] and (was > 0 or cluster not in split):
            return "new" if is_first else "grown"
    label, before = naming(cluster)
    if before and (cluster in renamed or min(was, now) >= 3 and alike(before, label) < 0.5):
        return "renamed"
    return "edited" if cluster in touched else None


ORDER = ["new", "grown", "shrunk", "gone", "renamed", "edited"]
expected = [(kind(cluster), cluster) for cluster in pages.keys() | touched]
expected = [(what, cluster) for what, cluster in expected if what]
expected.sort(key=lambda one: (ORDER.index(one[0]), -max(pages[one[1]]["before"], pages[one[1]]["now"]), one[1]))
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
    side = "now" if counts["now"] else "before"
    titles = {title for (title,) in counted(f"SELECT DISTINCT title FROM {PAGES} WHERE cluster = {cluster} AND {SIDE} = '{side}'")}
    many = len([title for title in titles if title.strip()])
    joined = {title for (title,) in counted(f"SELECT DISTINCT title FROM {PAGES} WHERE cluster = {cluster} AND {SIDE} = '{side}' AND NOT novel")}
    joined = {title for title in joined if title.strip()}
    new = sorted(domains[cluster].items(), key=lambda one: (-one[1], one[0]))
    label, was = naming(cluster)
    facts = {
        "earlier": counts["earlier"],
        "pages": [counts["before"], counts["now"]],
        "share": [counts[side] / max(1, total[side]) for side in ("before", "now")],
        "label": label,
        "was": was,
        "ended": cluster in ended,
        "new_domains": [{"domain": domain, "pages": count} for domain, count in new[:5]],
        "new_domains_total": len(new),
    }
    for name, fact in facts.items():
        if change[name] != fact:
            wrong.append(f"{name} of {cluster} is {change[name]} and not {fact}")
    if not set(change["titles"]) <= titles or len(change["titles"]) != min(3, many):
        wrong.append(f"titles of {cluster}: {change['titles']}")
    # Those of pages that opened a theme come behind all others.
    if len(joined & set(change["titles"])) < min(3, len(joined)):
        wrong.append(f"titles of {cluster} that no page joined with: {change['titles']}")
    for number in (counts["before"], counts["now"]):
        if number and f"{number:,}" not in change["said"]:
            wrong.append(f"{number} is not in: {change['said']}")
    words = {"has ended": cluster in ended and cluster not in merged, "By hand: ": cluster in touched}
    if cluster in merged:
        words[f"merged into {merged[cluster]}"] = True
    for word, is_so in words.items():
        if (word in change["said"]) != is_so:
            wrong.append(f"{word!r} is {'not ' if is_so else ''}said of {cluster}: {change['said']}")
    if bool(change["by_hand"]) != (cluster in touched):
        wrong.append(f"by_hand of {cluster} is {change['by_hand']}")

alarms = counted(f"""SELECT position, cluster, measure FROM read_parquet('{out}/lineage/*.parquet') JOIN ({TIMES}) ON page = position
                     WHERE event = 'drifted' AND {SIDE} = 'now'""")
said = [(one["position"], one["cluster"], one["measure"]) for one in drifted]
if sorted(said) != sorted(alarms):
    wrong.append(f"alarms told are {said}, in the lineage are {alarms}")

by_kind = collections.Counter(what for what, _ in found)
by_kind["drifted"] = len(drifted)
print(json.dumps({"since": since, "until": until, "pages": [total["before"], total["now"]], **by_kind, "wrong": wrong[:5]}))
sys.exit(bool(wrong))
