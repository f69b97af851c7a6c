"""What readers of committed messages find, held against the Parquet: delivered.py SERVERS OUT PREFIX SLOTS

Reads the topics PREFIX0 .. PREFIX(SLOTS-1), or the one topic PREFIX when SLOTS is 0, windrow-rejects and windrow-lineage with
confluent-kafka, and OUT with pyarrow. Messages of other
pipelines are passed over. Every page must be in its slot's topic once with the values of its row in the Parquet; every
reject once with its bytes, or as many as there was room for; every line of the lineage once; and between an announcement of an owner and the next, a slot's pages must be
that owner's. Prints one JSON object of counts, or says what differs and exits with 1.
"""

import json
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as parquet
from committed import messages

TEXTS = ["id", "url", "title", "keywords", "description", "domain", "label"]


def table(out, family):
    return [row for file in sorted(Path(out, family).glob("*.parquet")) for row in parquet.read_table(file).to_pylist()]


def of_pipeline(servers, topics, pipeline):
    """The messages of the pipeline; those of others are passed over."""
    for message, headers in messages(servers, topics, "delivered"):
        if headers.get("windrow-pipeline") == pipeline:
            yield message, headers


def once(rows, found, what):
    missing, more = rows.keys() - found.keys(), found.keys() - rows.keys()
    if missing or more:
        sys.exit(f"{what}: {len(missing)} only in the Parquet {sorted(missing)[:3]}, {len(more)} only in the topics {sorted(more)[:3]}")


def same_page(row, message, headers, slot):
    """Every value of the message is the row's."""
    cluster = int(headers["windrow-cluster"])
    facts = (cluster, int(headers["windrow-micro-cluster"]), headers["windrow-novel"] == b"1", float(headers["windrow-score"]))
    wanted = (row["cluster"], row["micro_cluster"], row["novel"], row["score"])
    if facts != wanted or (slot is not None and slot != row["slot"]):
        sys.exit(f"{row['record_id']}: the topic says {facts} in slot {slot}, the Parquet {wanted} in slot {row['slot']}")
    value = json.loads(message.value())
    if set(value) == {"id", "creation_time", "main_domain", "description"}:
        same = all((value[name] or None) == (row[name] or None) for name in ["id", "description"])
        same = same and value["main_domain"].lower() in [row["domain"], *(row["domain"] or "").split(".")]
    else:
        same = all((value[name] or None) == (row[name] or None) for name in TEXTS) and value["cluster"] == row["cluster"]
    if not same:
        sys.exit(f"{row['record_id']}: the topic says {value}, the Parquet {row}")


def same_bytes(value, raw, headers):
    """Whole, or cut off and said to be."""
    if "windrow-cut" not in headers:
        return value == raw
    is_cut = "value" in headers["windrow-cut"].decode().split(",")
    return raw.startswith(value) and is_cut == (len(value) < len(raw)) and int(headers["windrow-bytes"]) == len(raw)


def as_it_came(message, headers):
    """The producer of garbage keys each of it and gives it a header; Kafka Connect's are there too."""
    reason = headers["windrow-reason"].decode()
    names = {f"__connect.errors.{name}" for name in ["topic", "offset", "connector.name", "task.id", "stage"]}
    names |= {f"__connect.errors.exception.{name}" for name in ["class.name", "message"]}
    came = message.key() is None or (message.key() == f"of {reason}".encode() and headers.get("trace") == reason.encode())
    if not came or not names <= headers.keys() or " " not in headers["__connect.errors.exception.message"].decode():
        sys.exit(f"a reject has the key {message.key()} and the headers {headers}")
    return message.key() is not None


def main(servers, out, prefix, slots):
    keyed = slots == 0
    topics = [prefix] if keyed else [f"{prefix}{slot}" for slot in range(slots)]
    pipeline = json.loads(Path(out, ".windrow/files.json").read_text())["body"]["pipeline"].encode()
    rows = {row["record_id"]: row for row in table(out, "pages")}
    pages, owners, owner, by_cluster = {}, 0, {}, Counter()
    for message, headers in of_pipeline(servers, topics, pipeline):
        slot = None if keyed else int(message.topic().removeprefix(prefix))
        cluster = int(headers["windrow-cluster"])
        if "windrow-control" in headers:
            owners += 1
            owner[message.topic()] = cluster
            continue
        record_id = headers["windrow-record-id"].decode()
        if record_id in pages:
            sys.exit(f"{record_id} is in the topics twice")
        pages[record_id] = message.topic()
        by_cluster[cluster] += 1
        if record_id in rows and not keyed and message.key() not in [record_id.encode(), (rows[record_id]["domain"] or "").encode() or None]:
            sys.exit(f"{record_id} has the key {message.key()}")
        if record_id in rows:
            same_page(rows[record_id], message, headers, slot)
        if not keyed and message.partition() == 0 and owner.get(message.topic(), cluster) != cluster:
            sys.exit(f"{message.topic()} was announced as of {owner[message.topic()]}, and {record_id} is of {cluster}")
    once(rows, pages, "pages")

    rejects, found, reject_keys = {row["record_id"]: row for row in table(out, "rejects")}, {}, 0
    for message, headers in of_pipeline(servers, ["windrow-rejects"], pipeline):
        record_id = headers["windrow-record-id"].decode()
        if record_id in found:
            sys.exit(f"{record_id} is among the rejects twice")
        found[record_id] = message.value()
        row = rejects.get(record_id)
        if row and (not same_bytes(message.value() or b"", row["raw"], headers) or headers["windrow-reason"].decode() != row["reason"]):
            sys.exit(f"{record_id}: the topic says {message.value()} {headers}, the Parquet {row}")
        reject_keys += as_it_came(message, headers)
    once(rejects, found, "rejects")

    lineage = table(out, "lineage")
    lines = [json.loads(message.value()) for message, _ in of_pipeline(servers, ["windrow-lineage"], pipeline)]
    facts = ["position", "epoch", "event", "cluster", "slot", "micro_cluster"]
    wanted = sorted(str([line[name] for name in facts]) for line in lineage)
    told = sorted(str([line.get(name) for name in facts]) for line in lines)
    if wanted != told:
        sys.exit(f"lineage: {len(wanted)} lines in the Parquet, {len(told)} in the topic, and not the same")
    counts = {"pages": len(pages), "rejects": len(found), "reject_keys": reject_keys, "lineage": len(lines), "owners": owners}
    print(json.dumps(counts | {"topics": len(set(pages.values())), "by_cluster": by_cluster}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
