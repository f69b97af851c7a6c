"""What the ten steps of the scripts left as Parquet: original_steps.py FOLDER

`tmp/output` and `theirs/output` must have exactly the scripts' six columns. Prints one JSON object: pages of each cluster for `ours`, `theirs` (both of
50 clusters) and `spark`, and under `other_domains` what our run and the scripts' job do not call the same, page by page.
"""

import json
import os
import sys
from collections import Counter

import pyarrow.dataset

COLUMNS = ["url", "main_domain", "cluster", "id", "creation_time", "description"]


def table(*path):
    files = pyarrow.dataset.dataset(os.path.join(sys.argv[1], *path), format="parquet")
    return files.to_table()


def original(folder):
    found = table(folder, "output")
    if found.column_names != COLUMNS:
        sys.exit(f"{folder}/output has the columns {found.column_names}, not {COLUMNS}")
    return found


def counts(found, clusters):
    counted = Counter(found["cluster"].to_pylist())
    return [counted.pop(cluster, 0) for cluster in range(clusters)] + sorted(counted.values())


def domains(found):
    return Counter(zip(found["id"].to_pylist(), found["main_domain"].to_pylist()))


ours, theirs, spark = original("tmp"), original("theirs"), table("spark", "output", "pages")
others = sorted((domains(ours) - domains(theirs)) + (domains(theirs) - domains(ours)))
print(json.dumps({"ours": counts(ours, 50), "theirs": counts(theirs, 50), "spark": counts(spark, 50), "other_domains": others}))
