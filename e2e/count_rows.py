"""Counts the rows of CSV files with Python's csv module: count_rows.py FILE... prints the number of data rows of all of them."""

import csv
import gzip
import io
import sys

csv.field_size_limit(1 << 24)
total = 0
for path in sys.argv[1:]:
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as file:
        reader = csv.reader(io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline=""))
        next(reader)
        total += sum(1 for row in reader if row)
print(total)
