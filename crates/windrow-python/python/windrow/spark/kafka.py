"""Which brokers and which topic: by their ids, as the engine keeps them, asked through the client that Spark reads with."""

from __future__ import annotations

import struct
from typing import Dict, NamedTuple

from . import errors

PREFIX = "kafka."


class Topic(NamedTuple):
    """A topic, by hashes of the id of its brokers and of its own."""

    brokers: int
    id: int
    partitions: int


def connector(version: str) -> str:
    """The package that reads Kafka with this version of Spark: those of 3 are taken for Scala 2.12, as pip installs them."""
    return "org.apache.spark:spark-sql-kafka-0-10_%s:%s" % ("2.12" if version.startswith("3.") else "2.13", version)


def source_of(topic: str, partition: int) -> str:
    """The name of a partition as a source."""
    return "kafka:%s/%d" % (topic, partition)


def look(spark, options: Dict[str, str], topic: str) -> Topic:
    """Asks the brokers about a topic."""
    from .. import _windrow

    jvm = spark._jvm
    properties = jvm.java.util.Properties()
    for key, value in options.items():
        if key.startswith(PREFIX):
            properties.put(key[len(PREFIX) :], value)
    try:
        admin = jvm.org.apache.kafka.clients.admin.AdminClient.create(properties)
    except TypeError:
        raise errors.invalid(
            "E-SPARK-CONNECTOR",
            "Spark's connector for Kafka is not on the class path",
            "give spark-submit --packages " + connector(spark.version),
        ) from None
    try:
        brokers = admin.describeCluster().clusterId().get()
        names = jvm.java.util.ArrayList()
        names.add(topic)
        found = admin.describeTopics(names).allTopicNames().get().get(topic)
        most, least = (found.topicId().getMostSignificantBits(), found.topicId().getLeastSignificantBits())
        partitions = found.partitions().size()
    except Exception as error:
        reason = str(getattr(error, "java_exception", None) or error).strip()
        raise errors.environment(
            "E-KAFKA", "the brokers do not tell of the topic %s: %s" % (topic, reason), "look at kafka.bootstrap.servers and subscribe"
        ) from None
    finally:
        admin.close()
    identity = 0 if (most, least) == (0, 0) else max(1, _windrow.hash64(struct.pack("<qq", most, least)))
    return Topic(_windrow.hash64(brokers.encode()), identity, partitions)
