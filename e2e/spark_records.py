"""Records as Python finds them for Spark, held against the engine on bytes drawn at random: spark_records.py WINDROW FOLDER SEEDS"""

import json
import os
import random
import shutil
import subprocess
import sys

import duckdb

from windrow.spark.records import CsvRecords, JsonRecords

WINDROW, FOLDER, SEEDS = sys.argv[1], sys.argv[2], int(sys.argv[3])
HEADER = b"creation_time,id,url,title,keywords,description\n"
# What cleaning says of a row, behind what is checked here.
CLEANED = {"invalid_utf8", "bad_time", "empty_page"}
CSV = [(b'"', 8), (b'""', 3), (b",", 20), (b"\n", 6), (b"\r\n", 2), (b"\r", 1), (b"a", 8), (b"title words", 10), (b"\xff", 1), ("ä".encode(), 2)]
CSV += [(b"2023-01-01", 3), (b" ", 2), (b"\0", 1), (b"x" * 400, 6)]
VALUES = ['"a b"', r'"\u00e4\ud83d\ude00"', r'"\ud800"', "1", "1.50", "1e5", "-0", "null", "NaN", "-Infinity", "true", '[1,"a",null]', '["x",[1]]']
VALUES += ['{"a":1}', '""', '"NaN"', "12345678901234567890123", r'"a\nb"', "[]", "tru", '"\x01"']
TIMES = ['"2023-01-01"', "null", '"x"', "1700000000"]
NAMES = ("creation_time", "id", "url", "title", "keywords", "description", "other")


def csv_of(chance):
    words, weights = zip(*CSV)
    return HEADER + b"".join(chance.choices(words, weights, k=1500))


def json_of(chance):
    def line():
        values = ['"%s":%s' % (name, chance.choice(VALUES if at else TIMES)) for at, name in enumerate(NAMES) if chance.random() < 0.7]
        text = "{" + ", ".join(values) + "}"
        broken = [text[:-1], "[1]", " " + text + " ", "", text + "\r", '{"title":"\udcff"}']
        return chance.choice(broken) if chance.random() < 0.15 else text

    return "\n".join(line() for _ in range(300)).encode("utf-8", "surrogateescape")


def ours(data, reader):
    """The records of a file that comes in pieces."""
    at = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    lines = []
    for line in data[at:].split(b"\n"):
        lines.append((at, line))
        at += len(line) + 1
    if lines[-1][1] == b"":
        lines.pop()
    for start in range(0, len(lines), 3):
        yield from reader.lines(lines[start : start + 3])
    yield from reader.end()


def engine(files, limit):
    """Pages and rejects of the engine, by source and offset."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(os.path.join(FOLDER, "in"))
    for name, data in files.items():
        with open(os.path.join(FOLDER, "in", name), "wb") as file:
            file.write(data)
    out = os.path.join(FOLDER, "out")
    environment = dict(os.environ, WINDROW__LIMITS__MAX_RECORD=str(limit))
    subprocess.run([WINDROW, "run", "--quiet", "--no-serve", "--input", os.path.join(FOLDER, "in"), "--out", out], check=True, env=environment)
    sources = json.load(open(os.path.join(out, ".windrow", "files.json")))["body"]["positions"]["sources"]
    place = {str(at): os.path.basename(source["name"]) for at, source in enumerate(sources)}

    def read(columns, family):
        rows = duckdb.sql("select record_id, %s from '%s/%s/*.parquet'" % (columns, out, family)).fetchall()
        return {(place[row[0].split(":")[0]], int(row[0].split(":")[1])): row[1:] for row in rows}

    return read("id, url, title, keywords, description", "pages"), read("reason, raw", "rejects")


def fits(record, page, reject):
    """Whether the engine made of these bytes what was found here."""
    if record.reason:
        return reject == (record.reason, record.raw)
    if page:
        return page == tuple((value or b"").decode() for value in record.values[1:])
    return reject is not None and reject[0] in CLEANED and reject[1] == record.raw


def compare(limit):
    files = {}
    for seed in range(SEEDS):
        files["%03d.csv" % seed] = (b"\xef\xbb\xbf" if seed % 5 == 0 else b"") + csv_of(random.Random(seed))
        files["%03d.jsonl" % seed] = json_of(random.Random(seed))
    pages, rejects = engine(files, limit)
    seen = set()
    for name, data in files.items():
        reader = CsvRecords(",", {}, limit) if name.endswith(".csv") else JsonRecords({}, limit)
        for record in ours(data, reader):
            place = (name, record.offset)
            seen.add(place)
            if not fits(record, pages.get(place), rejects.get(place)):
                raise SystemExit("FAILED: %s: %s, the engine: %s %s" % (place, record, pages.get(place), rejects.get(place)))
    missing = (pages.keys() | rejects.keys()) - seen
    if missing:
        raise SystemExit("FAILED: not found here: %s" % sorted(missing)[:5])
    print("ok: records of at most %d bytes: %d pages and %d rejects, as the engine has them" % (limit, len(pages), len(rejects)), flush=True)


def look_once():
    """However records are broken, what is held is gone through a few times, not once a line. Bytes are counted, as clocks say little."""
    drain = CsvRecords._drain
    for name, lines in POISON.items():
        data, gone_through = HEADER + lines, 0

        def counted(self, is_end):
            nonlocal gone_through
            gone_through += self._held_bytes
            return drain(self, is_end)

        CsvRecords._drain = counted
        n_records = sum(1 for _ in ours(data, CsvRecords(",", {}, 1 << 20)))
        CsvRecords._drain = drain
        if gone_through > 4 * len(data):
            raise SystemExit("FAILED: %s: %d bytes, of which %d were looked at, for %d records" % (name, len(data), gone_through, n_records))
        print("ok: %s: %d bytes, %d looked at, %d records" % (name, len(data), gone_through, n_records), flush=True)


# A quote that is not closed, and lines behind it that hold some but close none, by an even number of quotes or an odd one.
POISON = {"a lone quote": b'"\n' + b'""\n' * 40_000, "two quotes, one open": b'a"b,"c\n' + b'""\n' * 40_000, "a quote a line": b'"a\n' * 40_000}

compare(1 << 20)
compare(1024)
look_once()
