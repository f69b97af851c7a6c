"""What other people's producers write: producer.py SERVERS TOPIC FORM FILE

FILE is a CSV with our columns. FORM is one of
  original  JSON as the Python of the original writes it: numbers as ids, bare NaN where nothing is
  nested    JSON documents of a web log, the page inside
  csv       CSV records, one a message, no header
  garbage   the original's, with what a topic collects in between: tombstones, text, broken JSON, titles that command terminals;
            in a transaction, and behind it the remains of one that was given up
  registry  Avro-like bytes behind a schema registry's prefix

Prints one JSON object a message, as it was delivered: {partition, offset, row, reject}; row is what a reader should find, or null,
and then reject says why there is none.
"""

import csv
import io
import json
import sys

from confluent_kafka import Producer

ABORTED = 600
COLUMNS = ["creation_time", "id", "url", "title", "keywords", "description"]
GARBAGE = [
    (None, "tombstone"),
    (b"", "bad_json"),
    (b"heartbeat\x1b[2J", "bad_json"),
    (b'{"url": "http://cut.example/", "title": "cut o', "bad_json"),
    (b'["http://list.example/"]', "bad_json"),
    (b"\x00stray", "bad_json"),
    (b'{"title": "\xff\xfe"}', "invalid_utf8"),
    (b'{"id": 1, "url": {"href": "http://inside.example/"}}', "wrong_type"),
    (b'{"id": 2, "url": "", "title": NaN}', "empty_page"),
    (b'{"creation_time": "yesterday", "url": "http://late.example/"}', "bad_time"),
]


def original(row):
    return {name: float("nan") if text == "" else int(text) if name == "id" else text for name, text in row.items()}


def nested(row):
    meta = {"keywords": row["keywords"].split(", "), "description": row["description"] or None, "viewport": {"width": 1280}}
    page = {"url": row["url"], "title": row["title"], "meta": meta}
    return {"event": "view", "id": row["id"], "timestamp": row["creation_time"], "visitor": {"name": "A", "id": 7}, "page": page}


def record(row):
    line = io.StringIO()
    csv.writer(line).writerow([row[name] for name in COLUMNS])
    return line.getvalue().encode()


def messages(form, rows):
    for at, row in enumerate(rows):
        if form == "csv":
            yield record(row), row, None
        elif form == "nested":
            kept = [word for word in row["keywords"].split(", ") if word]
            yield json.dumps(nested(row)).encode(), row | {"keywords": ", ".join(kept)}, None
        elif form == "registry":
            yield b"\x00\x00\x00\x00\x07" + row["title"].encode(), None, None
        elif form == "garbage":
            row = row | {"title": f"\x1b]0;mine\x07{row['title']}\u202e"}
            yield json.dumps(original(row)).encode(), row, None
            if at % 3 == 0:
                value, reject = GARBAGE[at // 3 % len(GARBAGE)]
                yield value, None, reject
        else:
            yield json.dumps(original(row)).encode(), row, None


def main():
    servers, topic, form, file = sys.argv[1:]
    with open(file, newline="", encoding="utf-8") as rows:
        rows = list(csv.DictReader(rows))
    producer = Producer({"bootstrap.servers": servers} | ({"transactional.id": topic} if form == "garbage" else {}))
    if form == "garbage":
        producer.init_transactions(30)
        producer.begin_transaction()
    partitions = len(producer.list_topics(topic, 30).topics[topic].partitions)

    def deliver(value, partition, row, reject):
        beside = {"key": f"of {reject}", "headers": {"trace": reject}} if reject else {}

        def delivered(error, message):
            if error is not None:
                sys.exit(f"not delivered: {error}")
            print(json.dumps({"partition": message.partition(), "offset": message.offset(), "row": row, "reject": reject}))

        producer.produce(topic, value, partition=partition, on_delivery=delivered, **beside)

    for at, (value, row, reject) in enumerate(messages(form, rows)):
        deliver(value, at % partitions, row, reject)
    if producer.flush(60) > 0:
        sys.exit("not everything was delivered within a minute")
    if form == "garbage":
        producer.commit_transaction(30)
        producer.begin_transaction()
        for at in range(ABORTED):
            producer.produce(topic, b"given up", partition=at % partitions)
        producer.flush(60)
        producer.abort_transaction(30)


main()
