"""Counts the committed messages of a topic: count_messages.py SERVERS TOPIC prints their number."""

import sys

from committed import messages

print(sum(1 for _ in messages(sys.argv[1], [sys.argv[2]], "count")))
