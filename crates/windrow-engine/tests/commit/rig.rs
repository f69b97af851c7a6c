//! A folder with inputs and outputs, and ways to look at both.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;
use windrow_core::cluster::ModelSettings;
use windrow_engine::checkpoint::manifest::Manifest;
use windrow_engine::checkpoint::{Layout, Reading, read_state};
use windrow_engine::clock::SystemClock;
use windrow_engine::error::Result;
use windrow_engine::observe::Progress;
use windrow_engine::run::{self, Control, Job, Roll, Summary};

pub(crate) struct Rig {
    folder: TempDir,
    pub(crate) job: Job,
}

impl Rig {
    /// A rig with `n` rows in `pages.csv`.
    pub(crate) fn new(n: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inputs = vec![folder.path().join("in").display().to_string()];
        let job = Job {
            model: ModelSettings { clusters: 5.into(), ..ModelSettings::default() },
            threads: 2,
            roll: Roll { rows: 100, bytes: u64::MAX, age: Duration::MAX },
            ..Job::new(inputs, folder.path().join("out"))
        };
        let rig = Self { folder, job };
        fs::create_dir(rig.path("in")).unwrap();
        rig.write("in/pages.csv", &csv(0..n));
        rig
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn run(&self) -> Result<Summary> {
        self.run_seen(&mut |_| {})
    }

    pub(crate) fn run_seen(&self, observer: &mut dyn FnMut(&Progress<'_>)) -> Result<Summary> {
        run::run(&self.job, &SystemClock::new(), &Control::default(), observer)
    }

    /// Dies in the middle of the batch that holds row `row` (of this run), as suddenly as a panic can.
    pub(crate) fn run_and_die(&self, row: u64) {
        assert!(self.run_to_die(row), "the run was to die at row {row}");
    }

    /// The same, if the run gets so far. Says whether it did.
    pub(crate) fn run_to_die(&self, row: u64) -> bool {
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let summary = self.run_seen(&mut |progress| {
                if progress.run.rows >= row {
                    // Not a panic of an assertion: those are printed.
                    std::panic::resume_unwind(Box::new("dies here, as planned"));
                }
            });
            summary.unwrap();
        }));
        died.is_err()
    }

    /// Stops after the batch that holds row `row` (of this run).
    pub(crate) fn run_to_stop(&self, row: u64) {
        let control = Control::default();
        let mut stop = |progress: &Progress<'_>| {
            if progress.run.rows >= row {
                control.stop();
            }
        };
        run::run(&self.job, &SystemClock::new(), &control, &mut stop).unwrap();
    }

    /// The newest snapshot that is committed, when there is another one to fall back to.
    pub(crate) fn newest_snapshot(&self) -> Option<PathBuf> {
        let layout = Layout::find(&self.job.out, None).unwrap();
        let manifest = Manifest::read(&layout.manifest()).unwrap()?;
        let [.., _, newest] = manifest.snapshots.as_slice() else { return None };
        let older = manifest.snapshots.iter().rev().skip(1);
        let mut older = older.map(|entry| layout.snapshots().join(&entry.name));
        older.any(|path| fs::metadata(path).is_ok_and(|about| about.len() > 7)).then(|| layout.snapshots().join(&newest.name))
    }

    pub(crate) fn state(&self) -> Reading {
        read_state(&self.job.out, self.job.state.as_deref()).unwrap().expect("something is committed")
    }

    /// Everything that tells two outputs apart, whatever the epochs were.
    pub(crate) fn answer(&self) -> Answer {
        let state = self.state();
        Answer {
            pages: self.rows("pages"),
            rejects: self.rows("rejects"),
            lineage: self.rows("lineage"),
            model: state.pipeline.snapshot(),
            rows: state.manifest.counters.rows,
        }
    }

    /// Rows in view of a family, sorted, without the epoch and the path of the source.
    pub(crate) fn rows(&self, family: &str) -> Vec<String> {
        let mut rows = Vec::new();
        for path in self.files(family) {
            for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap() {
                rows.extend(lines(&batch.unwrap()));
            }
        }
        rows.sort();
        rows
    }

    /// Files in view of a family.
    pub(crate) fn files(&self, family: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.job.out.join(family)).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries.filter(|path| !name_of(path).starts_with('.')).collect();
        files.sort();
        files
    }
}

#[derive(PartialEq)]
pub(crate) struct Answer {
    pub(crate) pages: Vec<String>,
    pub(crate) rejects: Vec<String>,
    pub(crate) lineage: Vec<String>,
    pub(crate) model: Vec<u8>,
    pub(crate) rows: u64,
}

/// Holds two answers against each other and says where they part.
#[track_caller]
pub(crate) fn assert_same(found: &Answer, wanted: &Answer, what: &str) {
    assert_eq!(found.rows, wanted.rows, "{what}: rows");
    let families = [("pages", &found.pages, &wanted.pages), ("rejects", &found.rejects, &wanted.rejects)];
    for (family, found, wanted) in families.into_iter().chain([("lineage", &found.lineage, &wanted.lineage)]) {
        let parts = found.iter().zip(wanted).find(|(found, wanted)| found != wanted);
        assert!(parts.is_none(), "{what}: {family}\n{}\n{}", parts.unwrap().0, parts.unwrap().1);
        assert_eq!(found.len(), wanted.len(), "{what}: number of {family}");
    }
    let parts = found.model.iter().zip(&wanted.model).position(|(found, wanted)| found != wanted);
    assert!(found.model == wanted.model, "{what}: the models part at byte {parts:?} of {}", wanted.model.len());
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap()
}

fn lines(batch: &RecordBatch) -> Vec<String> {
    let schema = batch.schema();
    let shown: Vec<_> = (0..batch.num_columns())
        .filter(|column| !["epoch", "source"].contains(&schema.field(*column).name().as_str()))
        .collect();
    let cell = |column: usize, row: usize| {
        let text = format!("{:?}", batch.column(column).slice(row, 1));
        text.lines().filter(|line| line.starts_with(' ')).map(|line| line.trim().trim_end_matches(',')).collect::<String>()
    };
    (0..batch.num_rows()).map(|row| shown.iter().map(|column| cell(*column, row)).collect::<Vec<_>>().join("|")).collect()
}

/// Rows of a CSV file with a header: eight themes, a line break in a title now and then, and a broken row in ten.
pub(crate) fn csv(rows: std::ops::Range<u64>) -> String {
    let mut text = String::from("creation_time,id,url,title,keywords,description\n");
    rows.for_each(|row| text.push_str(&line(row)));
    text
}

pub(crate) fn line(row: u64) -> String {
    const THEMES: [&str; 8] = [
        "cheap flights rome",
        "football league results",
        "bread baking sourdough",
        "mortgage rates calculator",
        "python tutorial beginners",
        "garden roses pruning",
        "used cars dealers",
        "jazz guitar lessons",
    ];
    let theme = THEMES[(row * 7 / 3 % 8) as usize];
    match row % 10 {
        9 => format!("yesterday perhaps,{row},https://a.example/,{theme},,\n"),
        4 => format!("2023-01-02T00:00:{:02}Z,{row},https://b.example/{row},\"{theme}\nextra{}\",,\n", row % 60, row % 5),
        _ => format!(
            "2023-01-02T00:00:{:02}Z,{row},https://c{}.example/,{theme} word{},,{theme} text{}\n",
            row % 60,
            row % 4,
            row % 13,
            row % 17
        ),
    }
}
