"""What must be so on the 100-row sample: sample.py OUT < `windrow clusters --out OUT -o json`

Pages and rejects are 100; the Facebook log-in pages lie where their subject is, not in one heap; every cluster has a label, without
control characters; every script of the titles can be read in labels, terms or examples. Prints one JSON object; exit code 1 when it is not so.
"""

import collections
import json
import pathlib
import sys
import unicodedata

import duckdb

out = pathlib.Path(sys.argv[1])
clusters = [json.loads(line) for line in sys.stdin]
wrong = []


def scripts(text):
    """First words of the Unicode names of its letters: LATIN, DEVANAGARI, CJK, …"""
    return {unicodedata.name(letter, "?").split()[0] for letter in text if letter.isalpha()} - {"?", "MODIFIER"}


pages = duckdb.sql(f"SELECT cluster, label, title, url FROM '{out}/pages/*.parquet'").fetchall()
rejects = 0
if list(out.glob("rejects/*.parquet")):
    rejects = duckdb.sql(f"SELECT count(*) FROM '{out}/rejects/*.parquet'").fetchall()[0][0]
if len(pages) + rejects != 100:
    wrong.append(f"{len(pages)} pages + {rejects} rejects")

logins = collections.Counter(cluster for cluster, _, _, url in pages if "facebook.com/login" in url)
if len(logins) < 3 or max(logins.values()) > sum(logins.values()) / 2:
    wrong.append(f"log-in pages by cluster: {dict(logins)}")

for cluster, label, *_ in pages:
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cn") for letter in label):
        wrong.append(f"cluster {cluster}: label {label!r}")
for cluster in clusters:
    if not cluster["label"].strip():
        wrong.append(f"cluster {cluster['cluster']} has no label")
if sum(cluster["delivered"] for cluster in clusters) > len(pages):
    wrong.append("more delivered than there are pages")

titles = collections.Counter(script for _, _, title, _ in pages for script in scripts(title))
shown = [json.dumps([cluster["label"], cluster["terms"], cluster["examples"]], ensure_ascii=False) for cluster in clusters]
shown = set().union(*map(scripts, shown))
missing = [script for script in titles if script not in shown]
if missing:
    wrong.append(f"scripts in titles, but nowhere in the clusters: {missing}")
print(json.dumps({"pages": len(pages), "rejects": rejects, "clusters": len(clusters), "login_pages": sum(logins.values()),
                  "login_clusters": len(logins), "scripts": dict(titles), "wrong": wrong}))
sys.exit(bool(wrong))
