"""What others make of the same texts: yardstick.py kmeans|minibatch|textclust --input F --labels L --clusters K [...]

kmeans      scikit-learn's off-line K-Means on all rows at once: TfidfVectorizer with its own settings, n_init 1, the true number
            of clusters given. It sees every row before it answers; Windrow answers at arrival.
minibatch   scikit-learn's MiniBatchKMeans on hashed terms, learning a batch and then answering for it: what streams get there.
textclust   River's TextClust, one row at a time, asked for the row's micro-cluster as soon as it has learnt the row.

Prints one JSON object with the measures that `windrow eval` has.
"""

import argparse
import csv
import gzip
import io
import json
import math
import time
import urllib.parse

csv.field_size_limit(1 << 24)


def rows(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as file:
        yield from csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline=""))


def measures(truth, answer):
    from sklearn import metrics

    homogeneity = metrics.homogeneity_score(truth, answer)
    completeness = metrics.completeness_score(truth, answer)
    return {
        "n": len(set(answer)),
        # h = I/H(truth), c = I/H(answer), so their geometric mean is the NMI with the geometric mean of the entropies.
        "nmi_geometric": math.sqrt(homogeneity * completeness),
        "nmi_arithmetic": metrics.normalized_mutual_info_score(truth, answer),
        "ari": metrics.adjusted_rand_score(truth, answer),
        "homogeneity": homogeneity,
        "completeness": completeness,
    }


def text_of(row, field):
    if field != "path":
        return row[field]
    try:
        return urllib.parse.unquote(urllib.parse.urlsplit(row["url"]).path)
    except ValueError:
        return ""


def kmeans(texts, arguments):
    from sklearn.cluster import KMeans
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer().fit_transform(texts)
    return KMeans(arguments.clusters, n_init=1, random_state=arguments.seed).fit_predict(vectors).tolist()


def minibatch(texts, arguments):
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(n_features=1 << 12)
    model = MiniBatchKMeans(arguments.clusters, n_init=1, random_state=arguments.seed)
    answers = []
    for start in range(0, len(texts), arguments.batch):
        vectors = hashing.transform(texts[start : start + arguments.batch])
        model.partial_fit(vectors)
        answers += model.predict(vectors).tolist()
    return answers


def textclust(texts, arguments):
    from river import cluster, feature_extraction

    words = feature_extraction.BagOfWords(lowercase=True, ngram_range=(1, 1))
    # Slow fading, rare clean-up: the setting that did best over four sets of short texts. Without it River's defaults do worse.
    model = cluster.TextClust(fading_factor=0.001, tgap=1000, sigma=0.5, auto_r=True, real_time_fading=False)
    answers = []
    for text in texts:
        bag = words.transform_one(text)
        # Learnt first: a page that opens a micro-cluster is asked for after it is there.
        model.learn_one(bag)
        answers.append(model.predict_one(bag))
    return [-1 if answer is None else answer for answer in answers]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("method", choices=["kmeans", "minibatch", "textclust"])
    arguments.add_argument("--input", required=True)
    arguments.add_argument("--labels", required=True)
    arguments.add_argument("--clusters", type=int, required=True)
    arguments.add_argument("--fields", default="title,keywords,description,path")
    arguments.add_argument("--limit", type=int)
    arguments.add_argument("--batch", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments = arguments.parse_args()

    labels = {row["id"]: row["label"] for row in rows(arguments.labels)}
    fields = arguments.fields.split(",")
    texts, truth = [], []
    for row in rows(arguments.input):
        if arguments.limit and len(texts) == arguments.limit:
            break
        # What the generator breaks is no page, and has no label either.
        if None in row or None in row.values():
            continue
        texts.append(" ".join(text_of(row, field) for field in fields))
        truth.append(labels.get(row["id"]))
    start = time.perf_counter()
    answer = {"kmeans": kmeans, "minibatch": minibatch, "textclust": textclust}[arguments.method](texts, arguments)
    seconds = time.perf_counter() - start
    scored = [(label, group) for label, group in zip(truth, answer) if label is not None]
    if not scored:
        raise SystemExit("no row has a label: are the labels those of these rows?")
    print(json.dumps({"rows": len(texts), "seconds": seconds, "measures": measures(*zip(*scored))}))


if __name__ == "__main__":
    main()
