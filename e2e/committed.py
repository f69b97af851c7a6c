"""A reader of committed messages, for the scripts that hold topics against something."""

import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition


def messages(servers, topics, group):
    """All committed messages of the topics with their headers, each partition in its order."""
    settings = {
        "bootstrap.servers": servers,
        "group.id": group,
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
    }
    consumer = Consumer(settings)
    known = consumer.list_topics(timeout=30).topics
    missing = [topic for topic in topics if topic not in known]
    if missing:
        sys.exit(f"topics are not there: {missing}")
    parts = [TopicPartition(topic, number, OFFSET_BEGINNING) for topic in topics for number in known[topic].partitions]
    consumer.assign(parts)
    left = len(parts)
    while left:
        message = consumer.poll(30)
        if message is None:
            sys.exit("no message for 30 s, and not at the end")
        if message.error() is None:
            yield message, dict(message.headers() or [])
        elif message.error().code() == KafkaError._PARTITION_EOF:
            left -= 1
        else:
            sys.exit(str(message.error()))
    consumer.close()
