"""Looks at pictures and pages that Windrow drew, with nothing but Python's own library.

SVG: well-formed, shapes and text alone, nothing that runs or is fetched, 1,200 pixels wide, axes named. PNG: whole, as wide, not blank.
HTML: tags that show things alone, links to http and https alone, below 5 MB.

`--letters N A B` compares two pictures, each as A.svg and A.png: N texts of theirs differ, and so do the dots there. `--first N FILE.csv.gz OUT.csv` writes
the first N rows of a file.
"""

import csv
import gzip
import itertools
import struct
import sys
import xml.etree.ElementTree as ElementTree
import zlib
from html.parser import HTMLParser

SVG = "{http://www.w3.org/2000/svg}"
SHAPES = {"svg", "title", "desc", "text", "rect", "line", "path", "circle", "g"}
TAGS = SHAPES | set(
    "html head meta style body h1 h2 p figure div table thead tbody tr th td details summary ul li bdi span a".split()
)
# What each picture must say of its axes.
AXES = {
    "messages": ["cluster", "pages"],
    "clusters": ["cluster", "peak", "UTC"],
    "domains": ["cluster", "pages", "registrable domains"],
    "map": ["near is alike"],
}


def check(true, what):
    if not true:
        sys.exit(what)


def check_attributes(file, tag, attributes):
    for name, value in attributes:
        check(not name.startswith("on") and name != "style" and "src" not in name, f"{file}: <{tag} {name}>")
        if name.endswith("href"):
            check(value.startswith(("http://", "https://")), f"{file}: a link to {value!r}")


def look_at_svg(file):
    with open(file, encoding="utf-8") as opened:
        source = opened.read()
    check("<!" not in source and "<?" not in source, f"{file}: a declaration")
    tree = ElementTree.fromstring(source)
    check(tree.get("width") == "1200", f"{file}: {tree.get('width')} wide")
    for element in tree.iter():
        check(element.tag.removeprefix(SVG) in SHAPES, f"{file}: <{element.tag}>")
        check_attributes(file, element.tag, element.items())
    texts = [text.text or "" for text in tree.iter(f"{SVG}text")]
    kind = file.rsplit("-", 1)[1].removesuffix(".svg")
    for axis in AXES[kind]:
        check(any(axis in text for text in texts), f"{file}: nothing says {axis!r}")
    check("commit" in texts[-1] and "rows" in texts[-1], f"{file}: ends with {texts[-1]!r}")


def look_at_png(file):
    raw, size = dots_of(file)
    check(size[0] == 1200 and len(raw) == size[1] * (size[0] * 4 + 1), f"{file}: {size}")
    check(len(set(raw)) > 50, f"{file}: blank")


def dots_of(file):
    """Bytes of the lines, each behind the number of its filter, and width and height."""
    with open(file, "rb") as opened:
        data = opened.read()
    check(data.startswith(b"\x89PNG\r\n\x1a\n"), f"{file}: no PNG")
    at, pixels, size = 8, b"", (0, 0)
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        check(zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0], f"{file}: damaged")
        if kind == b"IHDR":
            size = struct.unpack(">II", body[:8])
        if kind == b"IDAT":
            pixels += body
        at += 12 + length
    return zlib.decompress(pixels), size


def unfiltered(raw, stride):
    """Lines of a PNG with four bytes a dot, as they are drawn: each byte was written as its difference from its neighbours (PNG, section 9)."""
    lines, above = [], bytes(stride)
    for at in range(0, len(raw), stride + 1):
        kind, line = raw[at], bytearray(raw[at + 1 : at + 1 + stride])
        for i in range(stride):
            left, up, corner = (line[i - 4], above[i], above[i - 4]) if i >= 4 else (0, above[i], 0)
            nearest = min((abs(up - corner), 0, left), (abs(left - corner), 1, up), (abs(left + up - 2 * corner), 2, corner))[2]
            line[i] = (line[i] + [0, left, up, (left + up) // 2, nearest][kind]) & 255
        lines.append(bytes(line))
        above = line
    return lines


def look_at_letters(n, *names):
    texts, lines = [], []
    for name in names:
        texts.append([one for one in ElementTree.parse(f"{name}.svg").iter(f"{SVG}text") if one.get("font-size") == "14"])
        raw, (width, _) = dots_of(f"{name}.png")
        lines.append(unfiltered(raw, width * 4))
    others = [(a, b) for a, b in zip(*texts) if a.text != b.text]
    for a, b in others:
        x, y = int(float(a.get("x"))), int(float(a.get("y")))
        drawn = [[line[x * 4 : (x + 60) * 4] for line in picture[y - 14 : y + 5]] for picture in lines]
        check(drawn[0] != drawn[1], f"{a.text} and {b.text} are drawn alike: as boxes")
    check(len(others) == int(n), f"{len(others)} labels are letters, not {n}")
    print(f"letters of {len(others)} scripts are drawn as such")


def first_rows(n, source, target):
    with gzip.open(source, "rt", encoding="utf-8", newline="") as opened, open(target, "w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows(itertools.islice(csv.reader(opened), int(n) + 1))


class Page(HTMLParser):
    def __init__(self, file):
        super().__init__()
        self.file = file
        self.figures = 0

    def handle_starttag(self, tag, attrs):
        check(tag in TAGS, f"{self.file}: <{tag}>")
        self.figures += tag == "figure"
        check_attributes(self.file, tag, [(name, value or "") for name, value in attrs])


def look_at_html(file):
    with open(file, encoding="utf-8") as opened:
        source = opened.read()
    check("default-src 'none'" in source and len(source) < 5_000_000, f"{file}: {len(source)} characters")
    page = Page(file)
    page.feed(source)
    check(page.figures == 4, f"{file}: {page.figures} figures")


LOOKS = {"svg": look_at_svg, "png": look_at_png, "html": look_at_html}
VERBS = {"--letters": look_at_letters, "--first": first_rows}
if sys.argv[1] in VERBS:
    VERBS[sys.argv[1]](*sys.argv[2:])
else:
    for name in sys.argv[1:]:
        LOOKS[name.rsplit(".", 1)[1]](name)
    print(f"{len(sys.argv) - 1} files are what they should be")
