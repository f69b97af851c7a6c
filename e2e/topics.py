"""The topics of clusters as a reader of committed messages finds them: topics.py count SERVERS PREFIX SLOTS LAST

Prints one JSON object: pages by topic and cluster, announcements of owners, messages that are neither, and the newest LAST pages as
[topic, partition, offset], oldest first: each partition gives its last ones, of all those the newest by their time are left.

    topics.py size SERVERS TOPIC

prints how many messages a topic holds.

    topics.py claims SERVERS

prints how often the topics of pipelines were claimed.

    topics.py lives SERVERS PIPELINE

prints for each claim of a pipeline the process that claimed, and the last epoch that was committed before: [[pid, epoch], …].

    topics.py heir SERVERS PID

prints when a process committed its first epoch behind its claim, in microseconds since 1970.

    topics.py times SERVERS TOPIC

prints the times of a topic's messages in milliseconds since 1970, in the order of the ids of their rows.

    topics.py shorten SERVERS TOPIC

deletes the older half of partition 0 of TOPIC, as retention does, and prints how many pages that were.

    topics.py add SERVERS TOPIC [PARTITION]

writes into PARTITION of TOPIC, 0 if none is given, what can stand there beside our own pages: a page of a former owner (cluster 999), a page without headers
whose title is hostile, a value that is no JSON, a message without a value; and a page in a transaction that is aborted.

    topics.py long SERVERS TOPIC

writes two messages that are longer than most topics take: one has a value of 3,000,000 bytes, the other, which is no JSON, as long a key.

    topics.py hold SERVERS TOPIC

opens a transaction in partition 0 of TOPIC, prints "open", and aborts it when its standard input ends.
"""

import json
import random
import string
import sys

from committed import messages
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

HOSTILE = "\x1b[2J\x1b]0;owned\x07gone\u202e\r\nnext"


def is_object(value):
    try:
        return isinstance(json.loads(value), dict)
    except ValueError:
        return False


def count(servers, prefix, slots, last):
    topics = [f"{prefix}{slot}" for slot in range(int(slots))]
    pages, owners, others, parts = {topic: {} for topic in topics}, 0, 0, {}
    for message, headers in messages(servers, topics, "topics"):
        topic, cluster = message.topic(), headers.get("windrow-cluster", b"").decode()
        if headers.get("windrow-control") == b"owner":
            owners += 1
        elif message.value() is None:
            others += 1
        else:
            pages[topic][cluster] = pages[topic].get(cluster, 0) + 1
            if is_object(message.value()):
                rank = (message.timestamp()[1], topics.index(topic), message.partition(), message.offset())
                parts.setdefault((topic, message.partition()), []).append(rank)
    given = sorted(rank for ranks in parts.values() for rank in sorted(ranks, key=lambda rank: rank[3])[-int(last):])
    newest = [[topics[at], partition, offset] for _, at, partition, offset in given[-int(last):]]
    print(json.dumps({"pages": pages, "owners": owners, "others": others, "newest": newest}))


def size(servers, topic):
    print(sum(1 for _ in messages(servers, [topic], "topics")))


def claims(servers):
    print(sum(1 for message, _ in messages(servers, ["windrow-commits"], "topics") if message.key().endswith(b"/claim")))


def lives(servers, pipeline):
    epoch, found = 0, []
    for message, _ in messages(servers, ["windrow-commits"], "topics"):
        record = json.loads(message.value())
        if record["pipeline"] == pipeline and "epoch" in record:
            epoch = record["epoch"]
        elif record["pipeline"] == pipeline:
            found.append([record["pid"], epoch])
    print(json.dumps(found))


def heir(servers, pid):
    is_heir = False
    for message, _ in messages(servers, ["windrow-commits"], "topics"):
        record = json.loads(message.value())
        if "epoch" not in record:
            is_heir = record["pid"] == int(pid)
        elif is_heir:
            return print(record["written_at"])
    sys.exit(f"process {pid} has committed nothing")


def times(servers, topic):
    found = [(int(json.loads(message.value())["id"]), message.timestamp()[1]) for message, _ in messages(servers, [topic], "topics")]
    print(json.dumps([time for _, time in sorted(found)]))


def shorten(servers, topic):
    found = [(message.offset(), headers) for message, headers in messages(servers, [topic], "topics") if message.partition() == 0]
    end = found[len(found) // 2][0]
    admin = AdminClient({"bootstrap.servers": servers})  # who drops it waits for ever
    for done in admin.delete_records([TopicPartition(topic, 0, end)]).values():
        done.result(30)
    print(sum(1 for offset, headers in found if offset < end and "windrow-control" not in headers))


def add(servers, topic, partition=0):
    partition = int(partition)
    producer = Producer({"bootstrap.servers": servers, "transactional.id": "strangers"})
    producer.init_transactions()
    page = json.dumps({"title": "of a former owner", "cluster": 999}).encode()
    headers = {"windrow-cluster": "999", "windrow-schema": "windrow.page/1"}
    producer.begin_transaction()
    producer.produce(topic, page, partition=partition, headers=headers)
    producer.produce(topic, json.dumps({"title": HOSTILE}).encode(), partition=partition)
    producer.produce(topic, b"no JSON \xff", partition=partition)
    producer.produce(topic, None, key=b"deleted", partition=partition)
    producer.commit_transaction()
    producer.begin_transaction()
    producer.produce(topic, page, partition=partition, headers=headers)
    producer.flush()
    producer.abort_transaction()


def long(servers, topic):
    producer = Producer({"bootstrap.servers": servers, "message.max.bytes": 8_000_000})
    letters = "".join(random.Random(7).choices(string.ascii_letters, k=3_000_000))
    headers = {"trace": "too_long"}
    producer.produce(topic, json.dumps({"title": letters})[:3_000_000].encode(), key=b"of too_long", headers=headers, partition=0)
    producer.produce(topic, b"short", key=letters.encode(), headers=headers, partition=0)
    if producer.flush(30):
        sys.exit("the long messages were not taken")


def hold(servers, topic):
    producer = Producer({"bootstrap.servers": servers, "transactional.id": f"holder-of-{topic}"})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(topic, b"held", partition=0)
    producer.flush()
    print("open", flush=True)
    sys.stdin.read()
    producer.abort_transaction()


if __name__ == "__main__":
    verbs = [count, size, claims, lives, heir, times, shorten, add, long, hold]
    {verb.__name__: verb for verb in verbs}[sys.argv[1]](*sys.argv[2:])
