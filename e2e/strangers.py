"""Consumers that join a group and leave it again: strangers.py SERVERS TOPIC GROUP SECONDS

They subscribe, read what they are given and commit how far they came, as consumers do. Prints how often one was given partitions.
"""

import random
import sys
import time

from confluent_kafka import Consumer

MOST = 3
GIVEN = 0


def given(_consumer, parts):
    global GIVEN
    GIVEN += bool(parts)


def stranger(servers, topic, group):
    settings = {"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest", "auto.commit.interval.ms": 200}
    consumer = Consumer(settings)
    consumer.subscribe([topic], on_assign=given)
    return consumer


def main(servers, topic, group, seconds):
    random.seed(1)
    end, there = time.monotonic() + seconds, []
    while time.monotonic() < end:
        if len(there) < MOST and random.random() < 0.5:
            there.append(stranger(servers, topic, group))
        elif there:
            there.pop(random.randrange(len(there))).close()
        # As long as a group takes to share its partitions out, and sometimes not so long.
        until = time.monotonic() + random.uniform(0.2, 2)
        while time.monotonic() < until:
            for consumer in there:
                consumer.consume(500, 0.02)
    for consumer in there:
        consumer.close()
    print(GIVEN)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))
