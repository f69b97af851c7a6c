use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::source::find::tests::parquet;
use crate::source::parse::Parser;
use crate::source::{Asked, Limits, Reading, Wanted, open};

/// Whoever waits for rows gives up after so long.
const DEADLINE: Duration = Duration::from_secs(60);
const HEADER: &str = "title,id\n";

/// A folder in which files grow, and a run that follows them.
struct Place {
    folder: TempDir,
    inputs: Vec<String>,
    positions: Positions,
    source: Option<Box<dyn Source>>,
    warnings: Vec<String>,
    /// How often the inputs were opened.
    opened: usize,
}

impl Place {
    fn new(inputs: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inputs = inputs.iter().map(|name| folder.path().join(name).to_str().unwrap().to_owned()).collect();
        Self { folder, inputs, positions: Positions::default(), source: None, warnings: Vec::new(), opened: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn open(&mut self) -> Result<()> {
        let limits = Limits { batch_rows: 3, ..Limits::default() };
        let (reading, inputs) = (Reading::Following, &self.inputs);
        let wanted = Wanted { reading, ..Wanted::once(inputs, "", Asked::default(), limits) };
        let mut opened = open(wanted, &mut self.positions)?;
        self.warnings.append(&mut opened.warnings);
        self.source = Some(opened.take());
        self.opened += 1;
        Ok(())
    }

    /// As after a kill: from what was committed.
    fn stop(&mut self) {
        self.source = None;
    }

    /// Follows until `wanted` holds of the rows that came, which are given as `source:title`.
    fn until(&mut self, wanted: impl Fn(&[String], &Self) -> bool) -> Vec<String> {
        let (clock, mut rows, mut parser) = (SystemClock::new(), Vec::new(), Parser::new());
        while !wanted(&rows, self) {
            assert!(clock.elapsed() < DEADLINE, "no more than {rows:?} came; {:?}", self.warnings);
            if self.source.is_none() {
                self.open().unwrap();
            }
            let Some(batch) = self.source.as_mut().unwrap().next().unwrap() else {
                self.source = None;
                continue;
            };
            if batch.is_nothing() {
                continue;
            }
            self.positions.advance(batch.slice, batch.records.len() as u64);
            rows.extend(parser.parse(&batch).map(|row| {
                let row = row.expect("a row");
                format!("{}:{}", row.origin.source, String::from_utf8_lossy(row.columns[3]))
            }));
        }
        rows
    }

    /// The next rows.
    fn rows(&mut self, count: usize) -> Vec<String> {
        let rows = self.until(|rows, _| rows.len() >= count);
        assert_eq!(rows.len(), count, "{rows:?}");
        rows
    }

    /// Reads all that there is until the inputs are opened again.
    fn reopened(&mut self) -> Vec<String> {
        let before = self.opened;
        self.until(|_, place| place.opened > before)
    }

    fn is_told(&self, code: &str) -> bool {
        self.warnings.iter().any(|warning| warning.contains(code))
    }
}

/// More than a head, the same each time.
fn preamble() -> String {
    format!("{HEADER}{},0\n", "long ".repeat(1_000).trim_end())
}

#[test]
fn lines_come_whole_as_they_are_written() {
    let mut place = Place::new(&["app.csv"]);
    place.append("app.csv", "title,id\na,1\nb,2\nc,3\nd,4\nhalf a l");
    assert_eq!(place.rows(4), ["0:a", "0:b", "0:c", "0:d"]);
    place.append("app.csv", "ine,5");
    assert_eq!(
        left(&place.positions),
        [format!("the last 13 bytes of {} have no line end yet: they are left for the next run", place.inputs[0])]
    );
    place.append("app.csv", "\n\"two\nli");
    assert_eq!(place.rows(1), ["0:half a line"]);
    place.stop();
    place.append("app.csv", "nes\",6\n");
    assert_eq!(place.rows(1), ["0:two\nlines"]);
    assert_eq!((place.positions.sources.len(), place.positions.sources[0].rows), (1, 6));
    assert!(left(&place.positions).is_empty());
}

#[test]
fn a_file_that_is_renamed_is_read_to_its_end_before_its_follower() {
    let mut place = Place::new(&["app.csv"]);
    // The same head, as programs write it that begin with a preamble: who is who is known by more than that.
    place.append("app.csv", &(preamble() + "a,1\n"));
    assert_eq!(place.rows(2)[1], "0:a");
    place.rename("app.csv", "app.csv.1");
    place.append("app.csv", &(preamble() + "new,3\n"));
    place.append("app.csv.1", "late,2\n");
    let rows = place.rows(3);
    assert_eq!((rows[0].as_str(), rows[2].as_str()), ("0:late", "1:new"));
    place.append("app.csv.1", "later,4\n");
    assert_eq!(place.rows(1), ["0:later"], "whoever writes it may not know yet");

    // And once more while nobody follows: the first has the name that the second had, and nothing of it is new.
    place.stop();
    place.append("app.csv", "end,5\n");
    place.rename("app.csv.1", "app.csv.2");
    place.rename("app.csv", "app.csv.1");
    place.append("app.csv", &(preamble() + "third,6\n"));
    let rows = place.rows(3);
    assert_eq!((rows[0].as_str(), rows[2].as_str()), ("1:end", "2:third"));
    let names: Vec<_> = place.positions.sources.iter().map(|source| source.name.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["app.csv.2", "app.csv.1", "app.csv"]);
    assert!(!place.is_told("E-INPUT-CUT"), "{:?}", place.warnings);
}

#[test]
fn new_files_of_a_folder_are_taken_and_those_without_rows_wait() {
    let mut place = Place::new(&["in"]);
    fs::create_dir(place.path("in")).unwrap();
    place.open().unwrap();
    place.append("in/b.csv", "title,id\nb,1\n");
    assert_eq!(place.rows(1), ["0:b"]);
    place.append("in/a.csv", "title");
    place.reopened();
    assert!(place.is_told("has no rows yet"));
    place.append("in/a.csv", ",id\na,2\n");
    place.append("in/b.csv", "c,3\n");
    let mut rows = place.rows(2);
    rows.sort();
    assert_eq!(rows, ["0:c", "1:a"]);
    // What is renamed within the folder is no new file.
    place.rename("in/a.csv", "in/z.csv");
    place.append("in/z.csv", "d,4\n");
    assert_eq!(place.rows(1), ["1:d"]);
}

#[test]
fn a_file_that_is_cut_short_is_a_new_source_and_its_copy_is_read_on() {
    let mut place = Place::new(&["app.csv"]);
    place.append("app.csv", &(preamble() + "a,1\n"));
    assert_eq!(place.rows(2)[1], "0:a");
    place.stop();
    place.append("app.csv", "unread,2\n");
    fs::copy(place.path("app.csv"), place.path("app.csv.1")).unwrap();
    fs::write(place.path("app.csv"), "title,id\nfresh,3\n").unwrap();
    assert_eq!(place.rows(2), ["0:unread", "1:fresh"]);
    assert!(place.is_told("the copy beside it is read on"), "{:?}", place.warnings);

    // Under the run, to no less than there was: by its head. Without a copy what was not read is gone, and that is told.
    place.warnings.clear();
    fs::write(place.path("app.csv"), "id,title\n4,anew\n5,and more\n").unwrap();
    assert_eq!(place.rows(2), ["2:anew", "2:and more"]);
    assert!(place.is_told("E-INPUT-CUT") && place.is_told("there is no copy"), "{:?}", place.warnings);
    place.warnings.clear();
    fs::write(place.path("app.csv"), "").unwrap();
    place.reopened();
    assert!(place.is_told("E-INPUT-CUT"), "{:?}", place.warnings);
    place.append("app.csv", "title\nlast\n");
    assert_eq!(place.rows(1), ["3:last"]);
}

#[test]
fn an_inode_that_is_used_again_is_another_file() {
    let mut place = Place::new(&["app.csv"]);
    place.append("app.csv", &(preamble() + "a,1\n"));
    assert_eq!(place.rows(2)[1], "0:a");
    place.stop();
    // The same beginning, the same length and more: only when it was made tells.
    fs::remove_file(place.path("app.csv")).unwrap();
    place.append("app.csv", &(preamble() + "b,1\n" + "c,2\n"));
    let mut probe = Probe::new(&place.path("app.csv")).unwrap();
    let known = &mut place.positions.sources[0];
    (known.device, known.inode, known.born, probe.born) = (probe.device, probe.inode, 1, 1);
    assert!(probe.begins_like(known) && probe.is_still(known));
    probe.born = 2;
    assert!(!probe.is_still(known));
}

#[test]
fn what_was_replaced_ends_with_its_last_line_when_it_has_settled() {
    let place = Place::new(&["app.csv"]);
    place.append("app.csv", "title,id\na,1\nno line end,2");
    let probe = |name: &str| {
        let mut probe = Probe::new(&place.path(name)).unwrap();
        probe.find_form(None, Asked::default(), &super::super::ColumnMap::default(), &Limits::default()).unwrap();
        probe
    };
    let probe = probe("app.csv");
    let form = Arc::clone(&probe.form.as_ref().unwrap().1);
    let source = || FileSource::new(&probe, 0, Arc::clone(&form), 0, Limits::default()).growing(&probe);
    for (is_replaced, expected) in [(true, Some(1)), (false, None)] {
        let following = Following::new(
            vec![(Followed::Growing(Box::new(source())), &probe, is_replaced)],
            &[],
            Names(FxHashMap::default()),
        );
        let mut part = following.parts.into_iter().next().unwrap();
        let mut count = |at: u64| part.take(Duration::from_secs(at)).unwrap().map(|batch| batch.records.len());
        assert_eq!([count(0), count(1), count(60)], [Some(1), None, None]);
        assert_eq!(count(61), expected, "whether it was replaced: {is_replaced}");
        assert_eq!(count(62), None);
    }
}

#[test]
fn what_never_grows_is_not_followed() {
    let compressed = zstd::encode_all(&b"title\na\n"[..], 1).unwrap();
    let mut place = Place::new(&["f.csv.zst"]);
    fs::write(place.path("f.csv.zst"), &compressed).unwrap();
    assert_eq!(place.open().unwrap_err().code, "E-INPUT-FOLLOW");
    let mut place = Place::new(&["in/*"]);
    fs::create_dir(place.path("in")).unwrap();
    fs::write(place.path("in/f.csv.zst"), &compressed).unwrap();
    place.append("in/g.csv", "title\nb\n");
    assert_eq!(place.rows(1), ["0:b"]);
    assert!(place.is_told("is compressed, and is not followed"));
    place.inputs = vec!["generator:rows=3".into()];
    place.stop();
    assert_eq!(place.open().unwrap_err().code, "E-INPUT-FOLLOW");
    place.inputs = vec![place.path("missing.csv").display().to_string()];
    assert_eq!(place.open().unwrap_err().code, "E-INPUT-OPEN", "a slip of the pen");
}

#[test]
fn a_fifo_is_refused_not_waited_for() {
    let mut place = Place::new(&["pipe"]);
    assert!(Command::new("mkfifo").arg(place.path("pipe")).status().unwrap().success());
    assert_eq!(place.open().unwrap_err().code, "E-INPUT-OPEN");
}

#[test]
fn new_parquet_files_of_a_folder_are_taken_when_they_are_whole() {
    let whole = parquet(&["b", "c"]);
    let mut place = Place::new(&["in"]);
    fs::create_dir(place.path("in")).unwrap();
    place.append("in/a.csv", "title\na\n");
    assert_eq!(place.rows(1), ["0:a"]);
    fs::write(place.path("in/b.parquet"), &whole[..whole.len() / 2]).unwrap();
    assert!(place.reopened().is_empty());
    place.append("in/a.csv", "a2\n");
    assert_eq!(place.rows(1), ["0:a2"], "half a file stops nothing");
    fs::write(place.path("in/b.parquet"), &whole).unwrap();
    assert_eq!(place.rows(2), ["1:b", "1:c"]);
    place.append("in/a.csv", "a3\n");
    assert_eq!(place.rows(1), ["0:a3"]);
    assert!(left(&place.positions).is_empty(), "rows are no bytes: {:?}", left(&place.positions));
    place.inputs = vec![place.path("in/b.parquet").display().to_string()];
    place.stop();
    let error = place.open().unwrap_err();
    assert_eq!(error.code, "E-INPUT-FOLLOW");
    assert!(error.message.contains("Parquet"), "{error}");
}
