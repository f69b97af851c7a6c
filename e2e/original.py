"""Readers of the original's topics, as programs of its users would be: original.py SERVERS WHAT FILE...

FILEs are CSVs with our columns. WHAT is one of
  pages     reads topic_url to its end; json.loads of each message must give the rows of the FILEs in their order, as the original's producer
            writes them: ids as numbers, bare NaN where nothing is
  clusters  reads cluster_0 .. cluster_49 to their ends; every value must have the original's four fields and no other, written as its job
            writes them, of a row of the FILEs, and no row may come more often than it stands there

Reads committed messages only. Prints one JSON object of counts, or says what is wrong and exits with 1.
"""

import csv
import json
import math
import re
import sys
from collections import Counter
from datetime import datetime

from committed import messages

FIELDS = {"id", "creation_time", "main_domain", "description"}
COLUMNS = ["creation_time", "id", "url", "title", "keywords", "description"]
TOPICS = [f"cluster_{number}" for number in range(50)]


def rows_of(files):
    for file in files:
        with open(file, newline="", encoding="utf-8") as rows:
            yield from csv.DictReader(rows)


def same(value, text, is_number):
    """Whether a value is what Python's producer would have written for a cell."""
    if text == "":
        return isinstance(value, float) and math.isnan(value)
    return value == (int(text) if is_number else text)


def read_pages(servers, files):
    rows, found = list(rows_of(files)), [message.value() for message, _ in messages(servers, ["topic_url"], "pages")]
    if len(rows) != len(found):
        sys.exit(f"{len(rows)} rows, {len(found)} messages")
    for row, value in zip(rows, found):
        read = json.loads(value)
        if list(read) != COLUMNS or not all(same(read[name], row[name], name == "id") for name in COLUMNS):
            sys.exit(f"{row} was sent as {value}")
    print(json.dumps({"pages": len(found)}))


def time_of(text):
    """A cell of the CSV as the job writes the timestamp that Spark reads from it."""
    return datetime.fromisoformat(text).isoformat() if text else None


def read_clusters(servers, files):
    wanted, by_id = Counter(), {}
    for row in rows_of(files):
        wanted[row["id"]] += 1
        by_id[row["id"]] = row
    found, topics = Counter(), Counter()
    for message, _ in messages(servers, TOPICS, "counts"):
        value = json.loads(message.value())
        if set(value) != FIELDS:
            sys.exit(f"{message.topic()} holds {value}")
        row = by_id.get(value["id"])
        if row is None:
            sys.exit(f"nobody sent {value}")
        told = (value["creation_time"], value["description"])
        if told != (time_of(row["creation_time"]), row["description"] or None):
            sys.exit(f"{row} became {value}")
        domain = value["main_domain"]
        if not re.fullmatch(r"[^./:@\s]+", domain) or domain.lower() not in row["url"].lower():
            sys.exit(f"the main domain of {row['url']} is {domain!r}")
        found[value["id"]] += 1
        topics[message.topic()] += 1
    twice = [row for row, count in found.items() if count > wanted[row]]
    if twice:
        sys.exit(f"{len(twice)} rows came more often than they were sent: {twice[:3]}")
    counts = [topics[topic] for topic in TOPICS]
    print(json.dumps({"pages": sum(counts), "topics": len(topics), "counts": counts}))


if __name__ == "__main__":
    {"pages": read_pages, "clusters": read_clusters}[sys.argv[2]](sys.argv[1], sys.argv[3:])
