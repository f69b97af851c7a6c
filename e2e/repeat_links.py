"""Repeats a CSV of ours N times with other ids, later times and another word a row: repeat_links.py IN.csv.gz OUT.csv N

The same arguments give the same bytes. The word that takes another's place is one of the set's own, so the vocabulary stays what
it is.
"""

import csv
import datetime
import gzip
import io
import os
import random
import sys

source, target, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
csv.field_size_limit(1 << 24)
with gzip.open(source, "rb") as file:
    header, *rows = csv.reader(io.TextIOWrapper(file, encoding="utf-8", newline=""))
TIME, ID, TITLE = (header.index(name) for name in ("creation_time", "id", "title"))
FORM = "%Y-%m-%d %H:%M:%S.%f"
chance = random.Random(1)
words = [word for row in rows for word in row[TITLE].split()]
first, last = (datetime.datetime.strptime(rows[at][TIME], FORM) for at in (0, -1))
with open(target + ".tmp", "w", encoding="utf-8", newline="") as file:
    # Python quotes a carriage return only where line ends hold one: written with both, and kept without.
    line = type("Line", (), {"write": lambda self, text: file.write(text.removesuffix("\r\n") + "\n")})()
    writer = csv.writer(line, lineterminator="\r\n")
    writer.writerow(header)
    for copy in range(times):
        shift = (last - first + datetime.timedelta(days=1)) * copy
        for row in rows:
            row = list(row)
            title = row[TITLE].split()
            if copy and title:
                title[chance.randrange(len(title))] = chance.choice(words)
                row[TITLE] = " ".join(title)
            row[TIME] = (datetime.datetime.strptime(row[TIME], FORM) + shift).strftime(FORM)
            row[ID] = str(int(row[ID]) + copy * 1_000_000_000)
            writer.writerow(row)
os.replace(target + ".tmp", target)
