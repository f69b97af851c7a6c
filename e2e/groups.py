"""Consumer groups as other people have them: groups.py read SERVERS GROUP TOPIC N

Reads N committed messages of a topic as a member of a group, commits how far it came, and leaves.

    groups.py stay SERVERS GROUP TOPIC FILE

joins a group and stays in it until it is ended; makes FILE once it has partitions.

    groups.py lag SERVERS GROUP TOPIC

prints, as JSON and without anything of Windrow, where the group stands in each partition of a topic: its committed offset, the end that a
reader of committed messages sees, how many committed messages lie between, and the time of the first of them in milliseconds. With `offsets`
in place of `lag`: the committed offsets alone.
"""

import json
import sys

from confluent_kafka import Consumer, KafkaError, TopicPartition


def consumer(servers, group):
    return Consumer({
        "bootstrap.servers": servers,
        "group.id": group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
    })


def read(servers, group, topic, wanted):
    member = consumer(servers, group)
    member.subscribe([topic])
    seen = 0
    while seen < int(wanted):
        message = member.poll(30)
        if message is None:
            sys.exit("no message for 30 s")
        if message.error() is None:
            seen += 1
        elif message.error().code() != KafkaError._PARTITION_EOF:
            sys.exit(str(message.error()))
    member.commit(asynchronous=False)
    member.close()


def stay(servers, group, topic, file):
    member = consumer(servers, group)
    member.subscribe([topic], on_assign=lambda *_: open(file, "w").close())
    while True:
        member.poll(1)


def committed(servers, group, topic):
    outside = consumer(servers, group)
    parts = [TopicPartition(topic, number) for number in outside.list_topics(timeout=30).topics[topic].partitions]
    offsets = {part.partition: part.offset for part in outside.committed(parts, timeout=30) if part.offset >= 0}
    outside.close()
    return offsets


def lag(servers, group, topic):
    """By reading on from where the group stands, under another name."""
    found = {}
    for partition, offset in committed(servers, group, topic).items():
        other = consumer(servers, "nobody")
        end = other.get_watermark_offsets(TopicPartition(topic, partition), timeout=30, cached=False)[1]
        other.assign([TopicPartition(topic, partition, offset)])
        left, oldest = 0, None
        while True:
            message = other.poll(30)
            if message is None:
                sys.exit("no message for 30 s")
            if message.error() is not None:
                break
            left += 1
            oldest = oldest or message.timestamp()[1]
        other.close()
        found[partition] = {"position": offset, "end": end, "messages": left, "oldest_ms": oldest}
    return found


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    answer = {"read": read, "stay": stay, "lag": lag, "offsets": committed}[what](*arguments)
    if answer is not None:
        print(json.dumps(answer))
