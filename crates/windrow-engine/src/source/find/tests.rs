use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;
use crate::source::parse::Parser;
use crate::source::written::AskedFormat;

fn wanted(inputs: &[String], limits: Limits) -> Wanted<'_> {
    Wanted::once(inputs, "", Asked::default(), limits)
}

/// A folder with inputs, and what the pipeline knows of them.
struct Place {
    folder: TempDir,
    positions: Positions,
    warnings: Vec<String>,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), positions: Positions::default(), warnings: Vec::new() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn append(&self, name: &str, content: &str) {
        let mut file = fs::OpenOptions::new().append(true).open(self.path(name)).unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    /// Reads up to `batches` batches of 2 rows from these inputs, as `source:title` each (rejects with `!`), then commits.
    fn take(&mut self, inputs: &[&str], batches: usize) -> Result<Vec<String>> {
        let inputs: Vec<String> = inputs.iter().map(|name| self.path(name)).collect();
        let limits = Limits { batch_rows: 2, record_bytes: 5000, ..Limits::default() };
        let mut opened = open(wanted(&inputs, limits), &mut self.positions)?;
        let mut source = opened.take();
        self.warnings = std::mem::take(&mut opened.warnings);
        let (mut rows, mut parser) = (Vec::new(), Parser::new());
        for _ in 0..batches {
            let Some(batch) = source.next()? else { break };
            self.positions.advance(batch.slice, batch.records.len() as u64);
            rows.extend(parser.parse(&batch).map(|row| match row {
                Ok(row) => format!("{}:{}", row.origin.source, String::from_utf8_lossy(row.columns[3])),
                Err(reject) => format!("{}!{}", reject.origin.source, String::from_utf8_lossy(&reject.raw)),
            }));
        }
        Ok(rows)
    }

    fn all(&mut self, inputs: &[&str]) -> Vec<String> {
        self.take(inputs, usize::MAX).unwrap()
    }
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn plain_gzip_and_zstd_read_the_same_and_go_on_anywhere() {
    let content = "\u{feff}title,id\na,1\n\n\"b\nc\",2\r\nd,3\re,4\n\"f,5\ng,6";
    let members = [gzip(&content[..20]), gzip(&content[20..])].concat();
    let expected = ["0:a", "0:b\nc", "0:d", "0:e", "0!\"f,5", "0:g"];
    for bytes in [content.as_bytes().to_vec(), gzip(content), members, zstd::encode_all(content.as_bytes(), 1).unwrap()] {
        for step in 1..4 {
            let mut place = Place::new();
            place.write("f", &bytes);
            let mut rows = Vec::new();
            loop {
                let more = place.take(&["f"], step).unwrap();
                if more.is_empty() {
                    break;
                }
                rows.extend(more);
            }
            assert_eq!(rows, expected);
            assert_eq!(place.positions.sources[0].offset, content.len() as u64);
            assert_eq!(place.positions.sources[0].rows, 6);
        }
    }
}

#[test]
fn record_ids_are_decompressed_offsets() {
    let place = Place::new();
    let content = "title\na\n\n\"b\nc\"\r\nd\n";
    place.write("f.csv.gz", gzip(content));
    let inputs = [place.path("f.csv.gz")];
    let mut opened = open(wanted(&inputs, Limits::default()), &mut Positions::default()).unwrap();
    let batch = opened.take().next().unwrap().unwrap();
    let offsets: Vec<u64> = batch.records.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [6, 9, 16]);
    assert_eq!((batch.slice.from, batch.slice.to), (0, content.len() as u64));
}

#[test]
fn directories_and_globs_give_files_in_order() {
    let mut place = Place::new();
    place.write("d/b.csv", "title\nb\n");
    place.write("d/a/x.csv.gz", gzip("title\nx\n"));
    place.write("d/.hidden.csv", "title\nh\n");
    place.write("d/notes.txt", "nothing");
    place.write("c.csv", "title\nc\n");
    assert_eq!(place.all(&["d", "c.csv", "c.csv"]), ["0:x", "1:b", "2:c"]);
    let mut place_by_glob = Place { positions: Positions::default(), warnings: Vec::new(), ..place };
    assert_eq!(place_by_glob.all(&["d/*.csv"]), ["0:h", "1:b"]);
    assert_eq!(place_by_glob.take(&["e*.csv"], 1).unwrap_err().code, "E-INPUT-NONE");
    assert_eq!(place_by_glob.take(&["gone.csv"], 1).unwrap_err().code, "E-INPUT-OPEN");
}

#[test]
fn a_file_that_grew_is_read_on() {
    let mut place = Place::new();
    place.write("f.csv", "title,id\na,1\nb,2");
    assert_eq!(place.all(&["f.csv"]), ["0:a", "0:b"]);
    assert!(place.all(&["f.csv"]).is_empty());
    // The last line had no end: it gets one now.
    place.append("f.csv", "\nc,3\n");
    assert_eq!(place.all(&["f.csv"]), ["0:c"]);
    place.append("f.csv", "half");
    assert_eq!(place.all(&["f.csv"]), ["0!half"]);
    // What belongs to a line whose beginning was handed out is no row.
    place.append("f.csv", ",4\nd,5\n");
    assert_eq!(place.all(&["f.csv"]), ["0!,4", "0:d"]);
}

#[test]
fn a_file_without_a_whole_header_waits() {
    let mut place = Place::new();
    place.write("f.csv", "");
    assert!(place.all(&["f.csv"]).is_empty());
    place.append("f.csv", "title,i");
    assert!(place.all(&["f.csv"]).is_empty());
    assert_eq!(place.warnings.len(), 1);
    place.append("f.csv", "d\na,1\n");
    assert_eq!(place.all(&["f.csv"]), ["0:a"]);
    assert_eq!(place.positions.sources.len(), 1);
}

#[test]
fn a_renamed_file_goes_on_and_its_successor_is_new() {
    let mut place = Place::new();
    place.write("f.csv", "title\nold one\n");
    assert_eq!(place.all(&["f.csv"]), ["0:old one"]);
    place.append("f.csv", "late\n");
    fs::rename(place.path("f.csv"), place.path("f.csv.1")).unwrap();
    place.write("f.csv", "title\nnew one\n");
    assert_eq!(place.all(&["f.csv", "f.csv.1"]), ["0:late", "1:new one"]);
    assert_eq!(place.positions.sources[0].name, place.path("f.csv.1"));
    // Compressed, as log rotation does.
    place.write("f.csv.1.gz", gzip("title\nold one\nlate\nlater\n"));
    fs::remove_file(place.path("f.csv.1")).unwrap();
    assert_eq!(place.all(&["f.csv", "f.csv.1.gz"]), ["0:later"]);
}

#[test]
fn a_replaced_or_rewritten_file_is_a_new_source() {
    let mut place = Place::new();
    place.write("f.csv", "title\na\nb\n");
    assert_eq!(place.all(&["f.csv"]), ["0:a", "0:b"]);
    place.write("f.csv", "title\nx\ny\nz\n");
    assert_eq!(place.all(&["f.csv"]), ["1:x", "1:y", "1:z"]);
    assert!(place.warnings[0].contains("does not begin as it did"), "{:?}", place.warnings);
    // Shorter than what was read, though it begins the same.
    place.write("f.csv", "title\nx\n");
    assert_eq!(place.all(&["f.csv"]), ["2:x"]);
    // Also when all of the head is the same.
    let head = format!("title\n{}\n", "same ".repeat(900));
    place.write("f.csv", format!("{head}a\nb\n"));
    assert_eq!(place.all(&["f.csv"])[1..], ["3:a", "3:b"]);
    place.write("f.csv", format!("{head}c\n"));
    assert_eq!(place.all(&["f.csv"])[1..], ["4:c"]);
}

#[test]
fn a_renamed_file_is_known_before_one_that_took_its_name() {
    let mut place = Place::new();
    place.write("f.csv", "title\na\n");
    assert_eq!(place.all(&["f.csv"]), ["0:a"]);
    fs::rename(place.path("f.csv"), place.path("f.csv.1")).unwrap();
    place.write("f.csv", "title\na\nb\n");
    assert_eq!(place.all(&["f.csv", "f.csv.1"]), ["1:a", "1:b"]);
}

#[test]
fn files_that_begin_alike_are_two_sources() {
    let mut place = Place::new();
    let head = format!("title\n{}\n", "same ".repeat(1000));
    place.write("a.csv", format!("{head}a\n"));
    place.write("b.csv", format!("{head}b\n"));
    assert_eq!(place.all(&["a.csv", "b.csv"]).len(), 4);
    assert_eq!(place.positions.sources.len(), 2);
}

#[test]
fn one_file_under_two_names_is_read_once() {
    let mut place = Place::new();
    place.write("a.csv", "title\na\n");
    fs::hard_link(place.path("a.csv"), place.path("b.csv")).unwrap();
    assert_eq!(place.all(&["a.csv", "b.csv"]), ["0:a"]);
    assert!(place.warnings[0].contains("the same file"), "{:?}", place.warnings);
}

#[test]
fn rows_before_damage_are_read_and_the_rest_when_it_is_mended() {
    let content: String =
        std::iter::once("title,id\n".to_owned()).chain((0..9000).map(|at| format!("row {at},{at}\n"))).collect();
    let mut place = Place::new();
    let whole = gzip(&content);
    place.write("f.csv.gz", &whole[..whole.len() / 2]);
    let mut rows = Vec::new();
    let error = loop {
        match place.take(&["f.csv.gz"], 50) {
            Ok(more) => rows.extend(more),
            Err(error) => break error,
        }
        assert!(rows.len() < 9000);
    };
    assert_eq!(error.code, "E-INPUT-DAMAGED");
    assert!(error.message.contains("f.csv.gz"), "{error}");
    place.write("f.csv.gz", &whole);
    // What the failed attempt had taken before the damage is committed.
    let from = place.positions.sources[0].rows;
    assert!(from as usize >= rows.len() && from > 1000, "{from}");
    assert_eq!(place.all(&["f.csv.gz"])[0], format!("0:row {from}"));
    assert_eq!(place.positions.sources[0].rows, 9000);
}

#[test]
fn a_bad_end_of_zstd_or_gzip_is_named() {
    for bytes in [zstd::encode_all(&b"title\na\nb\n"[..], 1).unwrap(), gzip("title\na\nb\n")] {
        let mut place = Place::new();
        place.write("f", &bytes[..bytes.len() - 3]);
        assert_eq!(place.take(&["f"], 9).unwrap_err().code, "E-INPUT-DAMAGED");
    }
}

#[test]
fn a_byte_turned_over_in_a_packed_file_is_damage() {
    let content: String = std::iter::once("title\n".to_owned()).chain((0..9_000).map(|at| format!("row {at}\n"))).collect();
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    zstd.include_checksum(true).unwrap();
    std::io::Write::write_all(&mut zstd, content.as_bytes()).unwrap();
    for mut bytes in [zstd.finish().unwrap(), gzip(&content)] {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        let mut place = Place::new();
        place.write("f", &bytes);
        let error = std::iter::repeat_with(|| place.take(&["f"], 1_000)).take(20).find_map(Result::err);
        assert_eq!(error.expect("the damage is seen").code, "E-INPUT-DAMAGED");
    }
}

#[test]
fn a_zstd_file_may_begin_with_a_frame_to_skip() {
    let mut bytes = vec![0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
    bytes.extend(zstd::encode_all(&b"title\na\nb\n"[..], 1).unwrap());
    let mut place = Place::new();
    place.write("f", &bytes);
    assert_eq!(place.all(&["f"]), ["0:a", "0:b"]);
}

#[test]
fn a_generator_stands_beside_files_and_goes_on() {
    let mut place = Place::new();
    place.write("f.csv", "title\na\n");
    let file = place.path("f.csv");
    let mut offsets = |rows: u64| {
        let inputs = [format!("generator:rows={rows}"), file.clone()];
        let mut opened = open(wanted(&inputs, Limits::default()), &mut place.positions).unwrap();
        let mut all = Vec::new();
        let mut source = opened.take();
        while let Some(batch) = source.next().unwrap() {
            place.positions.advance(batch.slice, batch.records.len() as u64);
            all.extend(batch.records.iter().map(|record| (batch.slice.source, record.offset)));
        }
        all
    };
    assert_eq!(offsets(2), [(0, 0), (0, 1), (1, 6)]);
    assert_eq!(offsets(4), [(0, 2), (0, 3)]);
}

#[test]
fn a_file_of_other_things_is_refused_with_a_hint() {
    let mut place = Place::new();
    place.write("f.csv", "landing_page;name\nx;y\n");
    let error = place.take(&["f.csv"], 1).unwrap_err();
    assert_eq!(error.code, "E-INPUT-COLUMNS");
    place.write("long.csv", "x".repeat(6000));
    assert_eq!(place.take(&["long.csv"], 1).unwrap_err().code, "E-INPUT-COLUMNS");
}

#[test]
fn folders_give_files_of_every_shape_and_nothing_else() {
    let mut place = Place::new();
    place.write("d/a.csv", "title\na\n");
    place.write("d/b.TSV", "title\tid\nb\t1\n");
    place.write("d/c.jsonl.gz", gzip("{\"title\": \"c\"}\n"));
    place.write("d/d.ndjson.zst", zstd::encode_all(&b"{\"title\": \"d\"}\n"[..], 1).unwrap());
    place.write("d/e.json", "{\"title\": \"e\"}\n");
    place.write("d/f.txt", "title\nf\n");
    assert_eq!(place.all(&["d"]), ["0:a", "1:b", "2:c", "3:d"]);
}

/// Pages with these titles, as Parquet.
pub(in crate::source) fn parquet(titles: &[&str]) -> Vec<u8> {
    let titles: arrow_array::ArrayRef = Arc::new(arrow_array::StringArray::from(titles.to_vec()));
    let batch = arrow_array::RecordBatch::try_from_iter([("title", titles)]).unwrap();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn parquet_lies_beside_other_files_and_goes_on_at_its_row() {
    let mut place = Place::new();
    place.write("in/a.csv", "title\na\n");
    place.write("in/b.parquet", parquet(&["b", "c", "d"]));
    place.write("in/c.jsonl", "{\"title\": \"e\"}\n");
    assert_eq!(place.take(&["in"], 2).unwrap(), ["0:a", "1:b", "1:c"]);
    let known = &place.positions.sources[1];
    assert_eq!((known.offset, known.rows, known.written, known.unit()), (2, 2, Some(Written::Parquet), "row"));
    fs::rename(place.path("in/b.parquet"), place.path("in/z.parquet")).unwrap();
    assert_eq!(place.all(&["in"]), ["1:d", "2:e"], "the same file under another name");
    // Another file under a known name is another source.
    place.write("in/z2.parquet", parquet(&["x"]));
    fs::rename(place.path("in/z2.parquet"), place.path("in/z.parquet")).unwrap();
    assert_eq!(place.all(&["in"]), ["3:x"]);
}

#[test]
fn a_pipeline_does_not_read_its_own_output() {
    let mut place = Place::new();
    place.write("in/a.csv", "title\na\n");
    place.write("in/out/.windrow/files.json", "");
    place.write("in/out/pages/b.parquet", parquet(&["b"]));
    assert_eq!(place.all(&["in"]), ["0:a"]);
    assert_eq!(place.all(&["in/out/pages"]), ["1:b"], "but for who names it");
}

#[test]
fn what_is_called_parquet_and_is_none_is_refused() {
    let place = |name: &str, bytes: &[u8], asked: Asked| {
        let mut place = Place::new();
        place.write(name, bytes);
        let inputs = [place.path(name)];
        open(Wanted::once(&inputs, "", asked, Limits::default()), &mut place.positions)
            .map(|_| "read")
            .map_err(|error| error.code)
    };
    let auto = Asked::default();
    assert_eq!(place("a.parquet", b"title\na\n", auto), Err("E-INPUT-DAMAGED"));
    assert_eq!(place("a.parquet", b"", auto), Ok("read"), "nothing is in it yet");
    assert_eq!(place("a.dat", &parquet(&["a"]), auto), Ok("read"), "known by its first bytes");
    assert_eq!(place("a.parquet.zst", &zstd::encode_all(&parquet(&["a"])[..], 1).unwrap(), auto), Err("E-INPUT-PARQUET"));
    let asked = |format| Asked { format, ..auto };
    assert_eq!(place("a.parquet", &parquet(&["a"]), asked(AskedFormat::Jsonl)), Err("E-INPUT-PARQUET"));
    assert_eq!(place("a.csv", b"title\na\n", asked(AskedFormat::Parquet)), Err("E-INPUT-DAMAGED"));
    assert_eq!(
        place("a.csv", b"PAR1,title\n1,a\n", asked(AskedFormat::Csv)),
        Ok("read"),
        "who says so has a column of that name"
    );
}
