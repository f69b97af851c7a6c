"""What `windrow export` writes, as other programs read it: export.py OUT CSV XLSX PARQUET CLUSTER...

All three hold the pages that the Parquet of OUT holds of these clusters, in that order, value for value, and where the lineage says that they
are now; the CSV begins with the mark that
Excel knows UTF-8 by, and but for the quote before what looks like a formula its texts are those of the pages; no cell of the workbook is a
formula, and ids are texts there. Prints one JSON object; exit code 1 when it is not so.
"""

import csv
import datetime
import json
import sys

import duckdb
import openpyxl
from openpyxl.utils.escape import unescape

out, of_csv, of_xlsx, of_parquet, *clusters = sys.argv[1:]
COLUMNS = ["cluster", "label", "creation_time", "title", "url", "description", "keywords", "domain", "id", "score", "novel",
           "micro_cluster", "slot", "current_cluster", "record_id"]
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
wrong = []


def rows_of(relation):
    """Its rows, with times in UTC and without saying so: what Python makes of zones needs yet another package."""
    found = relation.project("* REPLACE (creation_time AT TIME ZONE 'UTC' AS creation_time)")
    return [dict(zip(found.columns, row)) for row in found.fetchall()]


found = duckdb.sql(f"SELECT * FROM '{out}/pages/*.parquet' WHERE cluster IN ({', '.join(clusters)})")
pages = rows_of(found)


def where_they_are():
    """Where each page is now, by the lineage."""
    home, merged, stands_for = {}, {}, {}
    events = duckdb.sql(f"""SELECT event, cluster, micro_cluster, into_micro_cluster, into_cluster
                            FROM read_parquet('{out}/lineage/*.parquet', filename = true, file_row_number = true)
                            ORDER BY filename, file_row_number""")
    for event, cluster, micro, into_micro, into in events.fetchall():
        if event in ("micro_moved", "micro_placed"):
            home[micro] = cluster
        elif event == "micro_merged":
            merged[micro] = (into_micro, into)
            home.pop(micro, None)
        elif event in ("cluster_merged", "cluster_back"):
            stands_for[cluster] = into
    for page in pages:
        micro, cluster = page["micro_cluster"], page["cluster"]
        while micro in merged:
            micro, cluster = merged[micro]
        cluster = home.get(micro, cluster)
        while cluster in stands_for:
            cluster = stands_for[cluster]
        page["current_cluster"] = cluster


where_they_are()


def compare(form, rows, wanted):
    rows = list(rows)
    if len(rows) != len(pages):
        wrong.append(f"{form}: {len(rows)} rows, not {len(pages)}")
    for number, (row, page) in enumerate(zip(rows, pages)):
        for column in COLUMNS:
            if row[column] != wanted(column, page[column]):
                wrong.append(f"{form}: row {number}, {column}: {row[column]!r}, not {wanted(column, page[column])!r}")


def is_number(text):
    try:
        float(text)
        return True
    except ValueError:
        return False


def in_csv(_column, value):
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        fraction = f".{value.microsecond:06}".rstrip("0") if value.microsecond else ""
        return value.strftime("%Y-%m-%d %H:%M:%S") + fraction
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return value
    if isinstance(value, str) and value.startswith(FORMULA) and not is_number(value):
        return "'" + value
    return str(value)


def in_cell(column, value):
    if isinstance(value, datetime.datetime):
        # Excel's calendar begins with a day in 1900 that there never was.
        return value.replace(microsecond=0) if value >= datetime.datetime(1900, 3, 1) else None
    # An empty text is an empty cell.
    return None if value == "" else value


with open(of_csv, "rb") as file:
    if file.read(3) != b"\xef\xbb\xbf":
        wrong.append("the CSV has no mark of UTF-8")
with open(of_csv, encoding="utf-8-sig", newline="") as file:
    reader = csv.DictReader(file)
    if reader.fieldnames != COLUMNS:
        wrong.append(f"the CSV has the columns {reader.fieldnames}")
    compare("CSV", [row | {"score": float(row["score"])} for row in reader], in_csv)

book = openpyxl.load_workbook(of_xlsx)
rows, formulas = [], 0
for sheet in book.worksheets:
    cells = sheet.iter_rows()
    header = [cell.value for cell in next(cells)]
    for line in cells:
        formulas += sum(cell.data_type == "f" for cell in line)
        row = dict(zip(header, (unescape(cell.value) if isinstance(cell.value, str) else cell.value for cell in line)))
        if row["creation_time"]:
            row["creation_time"] = row["creation_time"].replace(microsecond=0)
        rows.append(row)
compare("XLSX", rows, in_cell)
if formulas:
    wrong.append(f"{formulas} cells of the workbook are formulas")

again = duckdb.sql(f"SELECT * FROM '{of_parquet}'")
if again.columns != found.columns + ["current_cluster"] or again.types[:-1] != found.types:
    wrong.append(f"the Parquet has the columns {again.columns} of {again.types}")
compare("Parquet", rows_of(again), lambda _column, value: value)
print(json.dumps({"pages": len(pages), "wrong": wrong[:20]}, ensure_ascii=False))
sys.exit(bool(wrong))
