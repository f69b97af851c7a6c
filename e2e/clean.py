"""`windrow clean --profile original` beside pandas doing what preprocessing.py did: the same rows, value by value.

    clean.py WINDROW FOLDER [SET ...]

Every set, a hostile file, the same with other line ends and another order of columns, and rows drawn by chance (from a fixed seed) go through
both. Where both must differ, each difference is shown on a file of its own. At the end the memory of a long input is held against that of a
short one.
"""

import csv
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pandas

COLUMNS = ["creation_time", "id", "url", "title", "keywords", "description"]
HEADER = ",".join(COLUMNS)
# The description of a row that is kept, from its start to its end.
KEPT = r"""^[A-Za-z0-9\s,.;:!?'"-]+$"""
WINDROW, FOLDER = Path(sys.argv[1]).resolve(), Path(sys.argv[2])


def original(path, **options):
    """The table as the original had it after its steps."""
    table = pandas.read_csv(path, on_bad_lines="skip", **options)
    table = table.dropna(subset=["title", "description"])
    return table[table["description"].astype(str).str.match(KEPT)]


def by_pandas(path):
    typed, texts = original(path, low_memory=False), original(path, dtype=str)
    # Types are guessed for whole columns, and change no row that is kept; values are compared as the file has them.
    assert list(typed.index) == list(texts.index), path
    return texts.reindex(columns=COLUMNS).fillna("").values.tolist()


def call(*args):
    return subprocess.run([WINDROW, "clean", "--quiet", *args], capture_output=True, text=True)


def by_windrow(path, *flags):
    out, rejects = FOLDER / "out.csv", FOLDER / "rejects.csv"
    done = call("--input", path, "--out", out, "--rejects", rejects, "--force", "-o", "json", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    header, *rows = read(out)
    assert header == COLUMNS, header
    (reason, *_), *rejected = read(rejects)
    assert reason == "reason", reason
    assert (told["rows"], told["pages"], told["rejects"]) == (len(rows) + len(rejected), len(rows), len(rejected)), told
    for name, counts in told["columns"].items():
        values = [row[COLUMNS.index(name)] for row in rows]
        # Python strips four separators that are no whitespace elsewhere.
        assert counts["filled"] == sum(re.sub("[\x1c-\x1f]", "x", value).strip() != "" for value in values), (name, counts)
        assert counts["filled"] + counts["empty"] == len(rows), (name, counts)
    return rows, rejected


def read(path):
    csv.field_size_limit(1 << 30)
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file, strict=True))


def same(path, name):
    theirs = by_pandas(path)
    ours, rejected = by_windrow(path, "--profile", "original")
    for row, (a, b) in enumerate(zip(theirs, ours)):
        assert a == b, f"{name}: row {row} of pandas is {a}, ours is {b}"
    assert len(theirs) == len(ours), f"{name}: pandas keeps {len(theirs)} rows, we {len(ours)}"
    print(f"{name:<34} {len(ours):>7} rows as pandas has them, {len(rejected):>6} rejects")
    return len(ours)


MISSING = ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None",
           "n/a", "nan", "null"]
NEARLY = [" ", "NA ", " nan", "none", "Na", "NONE", "na", "n.a.", "-", "0", "NAN", "Null", "inf", "True", "1e5", "007"]
SPACES = [chr(code) for code in [9, 11, 12, *range(0x1C, 0x20), 0x85, 0xA0, 0x1680, 0x180E, *range(0x2000, 0x200C), 0x2028, 0x2029, 0x202F, 0x205F,
                                 0x2060, 0x3000, 0xFEFF]]
MARKS = [chr(code) for code in range(1, 127) if chr(code) not in '\n\r",']
LETTERS = ["é", "ß", "Ⅷ", "٣", "語", "ａ", "–", "“", "’", "\U0001f600", "\x00", "\x7f"]


def hostile_rows():
    """Rows as texts of fields, quoted or not as they are."""
    yield ["2023-05-17", "{id}", "http://a.example/x", "a title", "a,b".replace(",", ";"), "a description"]
    for text in MISSING + NEARLY + SPACES + MARKS + LETTERS:
        for column in range(6):
            row = ["soon", "{id}", "u", "t", "k", "d"]
            if column != 1:
                row[column] = text
                yield row
                row = list(row)
                row[column] = '"' + text + '"'
                yield row
    for text in ["a\nb", "a\rb", "a\r\nb", "\n", 'a ""quoted"" word', "a, b", '""', "a\n\n  \nb", ",,,"]:
        for column in [0, 2, 3, 4, 5]:
            row = ["", "{id}", "u", "t", "k", "d"]
            row[column] = '"' + text + '"'
            yield row
    for text in ['a "quoted" word', '"a"b', '"a"b"c"', '"a" ', ' "a"', 'a"', "it's"]:
        for column in [2, 3, 4, 5]:
            row = ["", "{id}", "u", "t", "k", "d"]
            row[column] = text
            yield row
    for count in [1, 2, 3, 4, 5, 7, 8, 20]:
        yield (["", "{id}", "u", "t", "k", "d"] + ["more"] * 20)[:count]
        yield (["", "{id}", "u", '"t, ""t"""', "k", "d"] + [""] * 20)[:count]
    for line in ["", " ", "\t", " \t ", '""', ","]:
        yield [line]
    yield ["", "{id}", "u", "t" * 300_000, "k", "d " * 100_000]
    yield ["", "{id}", "u", "t", "k", "the last"]


def texts(rows, order=None, more=()):
    names = [COLUMNS[at] for at in order] if order else COLUMNS
    yield ",".join([*names, *more])
    for number, row in enumerate(rows, 1):
        if order and len(row) == len(COLUMNS):
            row = [row[at] for at in order]
        yield ",".join([*row, *(["more"] if more and len(row) == len(COLUMNS) else [])]).replace("{id}", str(number))


def write(name, lines, line_end="\n", last=True, mark=False):
    path = FOLDER / name
    text = line_end.join(lines) + (line_end if last else "")
    path.write_bytes((b"\xef\xbb\xbf" if mark else b"") + text.encode())
    return path


def drawn(seed, count):
    """Rows by chance; one that spans lines always has all its fields."""
    chance = random.Random(seed)
    pieces = MISSING + NEARLY + ["a", "b c", "d, e", 'f "g"', "h\ni", "é", "j-k!", "\u00a0", "l\rm", ""]
    yield ["2023-05-17", "{id}", "u", "t", "k", "d"]
    for _ in range(count):
        count_of_fields = chance.choice([6] * 8 + [1, 2, 3, 4, 5, 7, 9])
        row = []
        for _ in range(count_of_fields):
            text = "".join(chance.choice(pieces) for _ in range(chance.choice([1, 1, 1, 2, 3])))
            if count_of_fields != 6:
                text = text.replace("\n", " ").replace("\r", " ")
            if chance.random() < 0.3 or any(mark in text for mark in ',"\n\r'):
                text = '"' + text.replace('"', '""') + '"'
            row.append(text)
        if len(row) > 1:
            row[1] = "{id}"
        yield row


def differences():
    """What must differ: why, the file, the ids that pandas keeps (or its error), the ids that we keep."""
    good = lambda number: f"t,{number},u,title,k,good".encode()
    lines = lambda *rows: b"\n".join([HEADER.encode(), *rows, b""])
    cases = {
        "a quote that is never closed": (lines(good(1), b't,2,u,"t,k,d', good(3), good(4)), "EOF inside string", ["1", "3", "4"]),
        "bytes that are not UTF-8": (lines(good(1), b"t,2,u,t\xff,k,d", good(3)), "utf-8", ["1", "3"]),
        "a header that came again": (lines(good(1), HEADER.encode(), good(2)), ["1", "id", "2"], ["1", "2"]),
        "a first row with more fields than the header": (lines(good(1) + b",x", good(2)), ["u"], ["2"]),
        "text behind a quote that spans lines": (lines(good(1), b't,2,u,"t\nx"y,k,d', good(3)), ["1", "2", "3"], ["1", "3"]),
        "too many fields in a record that spans lines": (lines(good(1), b'"a', good(2), b'",x,y,z,w,v,t', good(3)), ["1", "3"], ["1", "2", "3"]),
        "a record longer than limits.max_record": (lines(good(1), b"t,2,u," + b"t" * (1 << 20) + b",k,d", good(3)), ["1", "2", "3"], ["1", "3"]),
    }
    for name, (data, theirs, ours) in cases.items():
        path = FOLDER / "difference.csv"
        path.write_bytes(data)
        try:
            found = [str(number) for number in original(path, dtype=str)["id"]]
        except Exception as error:  # noqa: BLE001: the error is what is looked at
            assert isinstance(theirs, str) and theirs in str(error), (name, error)
            found = theirs
        assert found == theirs, (name, found)
        rows, rejected = by_windrow(path, "--profile", "original")
        assert [row[1] for row in rows] == ours, (name, rows)
        assert rejected, name
        print(f"differs, as it should: {name}")


def memory(rows):
    """The most that a call held, in bytes."""
    done = call("--input", f"generator:rows={rows},seed=7", "--out", FOLDER / "long.csv", "--rejects", FOLDER / "r.csv", "--force", "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["peak_rss_bytes"]


def main():
    sets = sys.argv[3:]
    for path in sets:
        same(path, Path(path).name)
    rows = list(hostile_rows())
    assert same(write("hostile.csv", texts(rows)), "hostile") > 500
    same(write("carriage.csv", texts(rows), "\r", mark=True), "hostile, carriage returns, a mark")
    same(write("windows.csv", texts(rows), "\r\n", last=False), "hostile, line ends of Windows")
    # Short rows have a title and a description here, and are kept.
    order = [1, 3, 5, 0, 2, 4]
    swapped = [row if len(row) == 6 else ["{id}", "t", "d", "", "u"][: len(row)] for row in rows]
    same(write("swapped.csv", texts(swapped, order)), "hostile, another order")
    swapped = [row for row in swapped if len(row) <= 6]
    same(write("more.csv", texts(swapped, order, ["spend"])), "hostile, another column")
    for seed in range(8):
        same(write("drawn.csv", texts(drawn(seed, 2_000))), f"drawn by chance, seed {seed}")
    differences()
    short, long = memory(20_000), memory(400_000)
    assert long < short + (16 << 20), (short, long)
    print(f"20 times the rows: {short >> 20} MB at most, and {long >> 20} MB")


main()
