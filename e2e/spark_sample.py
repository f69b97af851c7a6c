"""What learning from a sample costs, and what it saves: the package's own kernels, called as the Spark job calls them, batch by batch.

    spark_sample.py DATA SET:BATCH_ROWS[:MOST_ROWS]...

Every page is scored by the decision that it got when it came, as it is delivered, against the labels that it has. The sample is drawn with three seeds,
of which mean, least and most are told. Times are those of the processor, of the one thread that works: `driver` is what the learner's thread does for
a row, `executor` what the copies do in its place; both, and the share of pages that reached the driver, without the first batch, which is learnt
whole. One JSON object a line.
"""

import csv
import gzip
import json
import os
import sys
import time

import numpy
import pyarrow as pa

from windrow._windrow import Model, Prepared, Preparer

RATES = (None, 1.0, 0.1, 0.01)
SEEDS = (1, 2, 3)


def rows_of(data, name, most):
    with gzip.open(os.path.join(data, name + ".csv.gz"), "rt", newline="") as file:
        reader = csv.reader(file)
        header, rows = next(reader), list(reader)[:most]
    columns = dict(zip(header, zip(*rows)))
    columns["source"] = pa.array([0] * len(rows), pa.int32())
    columns["offset"] = pa.array(range(len(rows)), pa.int64())
    return pa.table({key: pa.array(value) for key, value in columns.items()})


def labels_of(data, name):
    with gzip.open(os.path.join(data, name + ".labels.csv.gz"), "rt", newline="") as file:
        return dict(list(csv.reader(file))[1:])


def prepared_of(table, batch_rows):
    preparer = Preparer("")
    return [preparer.prepare(table.slice(at, batch_rows)).to_bytes() for at in range(0, table.num_rows, batch_rows)]


class Clock:
    """Processor seconds of this thread, by what it did."""

    def __init__(self):
        self.spent = {"driver": 0.0, "executor": 0.0}

    def of(self, who, call):
        began = time.thread_time()
        done = call()
        self.spent[who] += time.thread_time() - began
        return done


def learn_all(model, data, clock):
    made = clock.of("driver", lambda: model.learn(Prepared.from_bytes(data)))
    return pa.record_batch(made), len(made)


def learn_sample(model, data, rate, clock):
    copy = Model.restore(model.snapshot())
    sample, n_learnt = clock.of("executor", lambda: copy.sample(Prepared.from_bytes(data), model.position, rate))
    made = clock.of("driver", lambda: model.learn_sample(sample, 0))
    clock.of("driver", model.settle)
    return pa.record_batch(made), n_learnt


def run(batches, ids, labels, rate, seed):
    model, clock, n_learnt = Model("[model]\nseed = %d\n" % seed), Clock(), []
    decided = []
    for data in batches:
        clock = Clock() if len(decided) == 1 else clock
        table, n = learn_all(model, data, clock) if rate is None else learn_sample(model, data, rate, clock)
        decided.append(table)
        n_learnt.append(n)
    table, behind_first = pa.Table.from_batches(decided), sum(map(len, decided[1:]))
    of_page = [labels.get(each) for each in ids]
    known = numpy.array([label is not None for label in of_page])
    label = numpy.unique([label for label in of_page if label is not None], return_inverse=True)[1]
    scores = {level: score(label, table.column(level).to_numpy()[known]) for level in ("micro_cluster", "cluster")}
    told = {"reached": sum(n_learnt[1:]) / behind_first, **{"%s_us" % who: 1e6 * spent / behind_first for who, spent in clock.spent.items()}}
    told["micro_clusters"] = model.summary()["micro_clusters"]
    return {**told, **{"%s_%s" % (level, name): value for level, both in scores.items() for name, value in both.items()}}


def score(label, found):
    """NMI with the geometric mean of the entropies, and ARI (Hubert & Arabie 1985)."""
    found = numpy.unique(found, return_inverse=True)[1]
    pairs = numpy.unique(label * (found.max() + 1) + found, return_counts=True)[1].astype(float)
    sizes = [numpy.bincount(each).astype(float) for each in (label, found)]
    n = float(len(label))
    h_label, h_found, h_both = (-(p / n * numpy.log(p / n)).sum() for p in (*sizes, pairs))
    chosen = [(each * (each - 1) / 2).sum() for each in (*sizes, pairs)]
    expected = chosen[0] * chosen[1] / (n * (n - 1) / 2)
    ari = (chosen[2] - expected) / ((chosen[0] + chosen[1]) / 2 - expected)
    return {"nmi": (h_label + h_found - h_both) / (h_label * h_found) ** 0.5, "ari": ari}


def spread(runs):
    return {key: {"mean": sum(run[key] for run in runs) / len(runs), "least": min(run[key] for run in runs), "most": max(run[key] for run in runs)} for key in runs[0]}


def main(data, *sets):
    for one in sets:
        name, batch_rows, most = (one.split(":") + [None])[:3]
        table, labels = rows_of(data, name, int(most) if most else None), labels_of(data, name)
        batches = prepared_of(table, int(batch_rows))
        ids = [each for batch in batches for each in pa.record_batch(Prepared.from_bytes(batch).pages()).column("id").to_pylist()]
        for rate in RATES:
            # All pages are the same sample whatever the seed.
            runs = [run(batches, ids, labels, rate, seed) for seed in (SEEDS if rate not in (None, 1.0) else SEEDS[:1])]
            about = {"set": name, "batch_rows": int(batch_rows), "rows": table.num_rows, "rate": rate, "seeds": len(runs)}
            print(json.dumps({**about, **spread(runs)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
