"""READ: records of CSV and JSON Lines, and JSON messages, as the engine reads them; pure, no Spark.

Spark's own readers lose what Windrow promises to keep: the place of a row in its file, the bytes of a row that is none, the digits of
a number. So Spark hands out lines and messages as they are, and what follows here is the rule of the engine: a record ends at a line end
outside quotes; **a broken quote costs one line** (a record that spans lines and is malformed is rejected up to its first line end, and
reading goes on behind it); a line that is too long comes in pieces; whatever is no row is a reject with its reason and its bytes.
"""

from __future__ import annotations

import csv
import json
import re
from typing import Iterable, Iterator, List, NamedTuple, Optional, Tuple

COLUMNS = ("creation_time", "id", "url", "title", "keywords", "description")

# One value for each of COLUMNS. Bytes that are no UTF-8 stay as they are: the cleaning finds them.
Values = Tuple[Optional[bytes], ...]


class Record(NamedTuple):
    """A row, or a reject: then `reason` says why, and there are no values."""

    offset: int
    raw: bytes
    values: Optional[Values]
    reason: Optional[str]


class BadHeader(Exception):
    """The first record of a file names no column of ours."""


def parse_columns(text: str) -> dict:
    """What the input calls our columns: `url=landing_page,title=name`."""
    names = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        column, equals, name = (piece.strip() for piece in part.partition("="))
        if not equals or column.lower() not in COLUMNS or not name:
            raise ValueError("`%s` in the column map is not of the form column=name, with one of %s" % (part, ", ".join(COLUMNS)))
        names[column.lower()] = name
    return names


# --- CSV -------------------------------------------------------------------------------------------------------------------------


class CsvRecords:
    """Records out of the lines of one file, cut at line feeds, in order; the first record is the header."""

    def __init__(self, delimiter: str, columns: dict, longest: int) -> None:
        self._delimiter = delimiter
        self._columns = columns
        self._longest = longest
        self._opener = re.compile(b'(?:^|' + re.escape(delimiter.encode()) + b')"')
        self._header: Optional[bytes] = None
        self._places: List[Optional[int]] = []
        self._n_fields: Optional[int] = None
        # A record that goes on behind the lines so far: where it begins, and its lines.
        self._held: List[bytes] = []
        self._held_at = 0
        self._held_bytes = 0
        # A record that did not end is looked at again when as much has come again: what is held is gone through twice, not once a line.
        self._again_at = 0
        # Behind a piece of a line that is too long: the rest of it is too.
        self._in_rest = False

    def lines(self, lines: Iterable[Tuple[int, bytes]]) -> Iterator[Record]:
        """The records that end in these lines, which come with their offsets."""
        for offset, line in lines:
            if not self._held and b'"' not in line and b"\r" not in line and len(line) <= self._longest:
                if line:
                    yield from self._whole(offset, line)
                continue
            if not self._held:
                self._held_at = offset
            self._held.append(line)
            self._held_bytes += len(line) + 1
            if self._held_bytes > self._longest or (b'"' in line and self._held_bytes >= self._again_at):
                yield from self._drain(False)

    def end(self) -> Iterator[Record]:
        """What is left when the file ends."""
        yield from self._drain(True)

    def _drain(self, is_end: bool) -> Iterator[Record]:
        """Hands out the records of the held lines, as far as they end there."""
        text, offset = b"\n".join(self._held), self._held_at
        at = 0
        while at < len(text):
            if text[at] in b"\r\n":
                at, self._in_rest = at + 1, False
                continue
            found = self._next(text, at, is_end)
            if found is None:
                break
            end, reason, next_at = found
            raw = text[at:end]
            yield from [Record(offset + at, raw, None, reason)] if reason else self._whole(offset + at, raw)
            at = next_at
        rest, self._in_rest = text[at:], False
        self._held = [rest] if at < len(text) else []
        self._held_at, self._held_bytes = offset + at, len(rest) + 1
        self._again_at = 2 * len(rest)

    def _next(self, text: bytes, start: int, is_end: bool) -> Optional[Tuple[int, Optional[str], int]]:
        """The record at `start`: its end, why it is none, and where to go on. None when it does not end here."""
        reach = start + self._longest
        if self._in_rest:
            end = _first(text, b"\r\n", start, reach + 1)
            end = min(reach, len(text)) if end is None else end
            return end, "too_long", end
        scan = _Scan(self, text, start)
        end = scan.run(min(len(text), reach + 1))
        if scan.given_up:
            return scan.first_line_end, scan.given_up, scan.first_line_end + 1
        if end is not None:
            return self._ended(scan, end, end + 1)
        if len(text) > reach:
            return self._cut(scan, text, start, reach)
        if scan.in_quotes and not is_end:
            return None
        if scan.in_quotes and scan.first_line_end is not None:
            return scan.first_line_end, "bad_quote", scan.first_line_end + 1
        return self._ended(scan, len(text), len(text)) if not scan.in_quotes else (len(text), None, len(text))

    def _ended(self, scan: "_Scan", end: int, next_at: int) -> Tuple[int, Optional[str], int]:
        """A record that ends at `end`; one that spans lines must have as many fields as the header."""
        first = scan.first_line_end
        if first is not None and self._n_fields is not None and scan.n_delimiters(end) + 1 != self._n_fields:
            return first, "column_count", first + 1
        return end, None, next_at

    def _cut(self, scan: "_Scan", text: bytes, start: int, reach: int) -> Tuple[int, Optional[str], int]:
        first = scan.first_line_end
        if first is not None:
            return first, "bad_quote" if scan.in_quotes else "too_long", first + 1
        self._in_rest = True
        return reach, "too_long", reach

    def _whole(self, offset: int, raw: bytes) -> Iterator[Record]:
        """A record on its own: the header, a row, or a reject."""
        fields = self._fields(raw)
        if self._header is None:
            self._take_header(raw, fields)
        elif len(fields) != self._n_fields:
            yield Record(offset, raw, None, "column_count")
        elif raw == self._header:
            yield Record(offset, raw, None, "repeated_header")
        else:
            yield Record(offset, raw, tuple(None if at is None else fields[at] for at in self._places), None)

    def _fields(self, raw: bytes) -> List[bytes]:
        if b'"' not in raw:
            return raw.split(self._delimiter.encode())
        # Python before 3.11 reads no NUL: half of a surrogate pair, which no UTF-8 holds, stands for it.
        text = raw.decode("utf-8", "surrogateescape").replace("\0", "\ud800")
        csv.field_size_limit(max(self._longest + 1, csv.field_size_limit()))
        fields = next(csv.reader((text,), delimiter=self._delimiter), [])
        return [field.replace("\ud800", "\0").encode("utf-8", "surrogateescape") for field in fields]

    def _take_header(self, raw: bytes, fields: List[bytes]) -> None:
        names = [field.decode("utf-8", "replace").strip().lstrip("\ufeff").lower() for field in fields]
        wanted = [self._columns.get(column, column).lower() for column in COLUMNS]
        self._header, self._n_fields = raw, len(fields)
        self._places = [names.index(name) if name in names else None for name in wanted]
        if all(place is None for place in self._places[2:]):
            raise BadHeader("its header names none of url, title, keywords and description, but: %s" % ", ".join(names)[:300])


class _Scan:
    """Goes through one record byte by byte where it must, and says how it stands."""

    def __init__(self, records: CsvRecords, text: bytes, start: int) -> None:
        self._records, self._text, self._start = records, text, start
        self._delimiter = records._delimiter.encode()
        self._outside: List[Tuple[int, int]] = []  # stretches outside quotes that are done
        self._stretch = start
        self.in_quotes = False
        self.first_line_end: Optional[int] = None
        self.given_up: Optional[str] = None
        self._text_after_quote = False

    def n_delimiters(self, end: int) -> int:
        stretches = self._outside + [(self._stretch, end)]
        return sum(self._text.count(self._delimiter, a, b) for a, b in stretches)

    def run(self, end: int) -> Optional[int]:
        """Where the record ends; none when it does not, or was given up."""
        text, at = self._text, self._start
        while at < end and not self.given_up:
            line_end = _first(text, b"\r\n", at, end)
            quote = self._opening(at, end if line_end is None else line_end)
            if quote is None:
                return line_end
            self._outside.append((self._stretch, quote))
            self._look_hopeless()
            at = self._quoted(quote + 1, end)
        return None

    def _opening(self, at: int, end: int) -> Optional[int]:
        """The next quote at the start of a field."""
        while True:
            quote = self._text.find(b'"', at, end)
            if quote < 0:
                return None
            if quote == self._start or self._text[quote - 1 : quote] == self._delimiter:
                return quote
            at = quote + 1

    def _quoted(self, at: int, end: int) -> int:
        """From inside a quoted field to behind it."""
        text = self._text
        self.in_quotes = True
        while True:
            quote = text.find(b'"', at, end)
            if self.first_line_end is None:
                self.first_line_end = _first(text, b"\r\n", at, end if quote < 0 else quote)
                self._look_hopeless()
            if quote < 0 or self.given_up:
                return end
            if quote + 1 < end and text[quote + 1 : quote + 2] == b'"':
                at = quote + 2
                continue
            self.in_quotes, self._stretch = False, quote + 1
            behind = text[quote + 1 : quote + 2]
            self._text_after_quote |= behind not in (b"", self._delimiter, b"\r", b"\n")
            self._look_hopeless()
            return quote + 1

    def _look_hopeless(self) -> None:
        """A record that spans lines is given up as soon as it cannot become a row any more."""
        n_fields = self._records._n_fields
        if self.first_line_end is None:
            return
        if self._text_after_quote:
            self.given_up = "bad_quote"
        elif n_fields is not None and self._n_done() >= n_fields:
            self.given_up = "column_count"

    def _n_done(self) -> int:
        return sum(self._text.count(self._delimiter, a, b) for a, b in self._outside)


def _first(text: bytes, wanted: bytes, at: int, end: int) -> Optional[int]:
    places = [place for place in (text.find(wanted[n : n + 1], at, end) for n in range(len(wanted))) if place >= 0]
    return min(places) if places else None


# --- JSON ------------------------------------------------------------------------------------------------------------------------


class WrongType(Exception):
    """An object stands where a text is wanted."""


class JsonRecords:
    """Messages, and the lines of a JSON Lines file: one object each."""

    def __init__(self, columns: dict, longest: int) -> None:
        self._ways = [columns.get(column, column) for column in COLUMNS]
        self._longest = longest
        # Numbers keep their digits; NaN and infinities, which Python writes for what is missing, are empty.
        self._decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda _: None)

    def lines(self, lines: Iterable[Tuple[int, bytes]]) -> Iterator[Record]:
        for offset, line in lines:
            line = line.rstrip(b"\r")
            if line:
                yield self.message(offset, line)

    def end(self) -> Iterator[Record]:
        return iter(())

    def message(self, offset: int, raw: Optional[bytes]) -> Record:
        """What a message is; one without a value deletes its key."""
        if raw is None:
            return Record(offset, b"", None, "tombstone")
        if len(raw) > self._longest:
            return Record(offset, raw, None, "too_long")
        try:
            text = (raw[3:] if raw.startswith(b"\xef\xbb\xbf") else raw).decode("utf-8")
            found = self._decoder.decode(text)
            if not isinstance(found, dict):
                return Record(offset, raw, None, "bad_json")
            return Record(offset, raw, tuple(_text(_look(found, way)) for way in self._ways), None)
        except UnicodeDecodeError:
            return Record(offset, raw, None, "invalid_utf8")
        except WrongType:
            return Record(offset, raw, None, "wrong_type")
        except (ValueError, RecursionError):
            return Record(offset, raw, None, "bad_json")


def _look(found: dict, way: str):
    """The value at the end of a dotted way; the whole name goes before a way, a longer key before a shorter one."""
    if way in found:
        return found[way]
    for at in (at for at in range(len(way) - 1, 0, -1) if way[at] == "."):
        inner = found.get(way[:at])
        if inner is None:
            continue
        if not isinstance(inner, dict):
            raise WrongType
        return _look(inner, way[at + 1 :])
    return None


def _text(value) -> Optional[bytes]:
    if value is None:
        return None
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, str):
        try:
            return value.encode("utf-8")
        except UnicodeEncodeError:  # half of a surrogate pair
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode("utf-8")
    if isinstance(value, list) and not any(isinstance(item, (list, dict)) for item in value):
        return b", ".join(filter(None, map(_text, value)))
    raise WrongType
