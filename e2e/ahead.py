"""A message from a machine whose clock is ten minutes ahead: ahead.py SERVERS TOPIC"""

import sys
import time

from confluent_kafka import Producer

servers, topic = sys.argv[1:]
producer = Producer({"bootstrap.servers": servers})
producer.produce(topic, b'{"url": "http://ahead.example/"}', timestamp=int(time.time() * 1000) + 600_000)
sys.exit(producer.flush(30))
