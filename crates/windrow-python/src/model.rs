//! LEARN and ASSIGN: one model, one order.

use std::sync::{Mutex, MutexGuard};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use windrow_core::cluster::Candidate;
use windrow_core::featurize::TermKind;
use windrow_core::lineage::{Edit, LineageEvent};
use windrow_core::pipeline::{NoSampling, Outcome, Pipeline, Sample, WatchSettings};

use crate::arrow::Batch;
use crate::columns;
use crate::error::{invalid, unreadable};
use crate::prepare::Prepared;
use crate::settings;

/// A model that learns pages in one order. The same pages in the same order give the same answers and the same bytes, here and in the
/// engine.
#[pyclass(frozen, module = "windrow._windrow")]
pub(crate) struct Model(Mutex<State>);

struct State {
    pipeline: Pipeline,
    /// What happened in the last call that changed the model.
    lineage: Vec<LineageEvent>,
}

impl Model {
    /// The state, for work without the interpreter's lock: it is never waited for with that lock held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("a model in which learning panicked is in no state to go on")
    }

    fn of(pipeline: Pipeline) -> Self {
        Self(Mutex::new(State { pipeline, lineage: Vec::new() }))
    }

    fn change(&self, py: Python<'_>, edit: &Edit) -> PyResult<()> {
        let done = py.detach(|| {
            let mut state = self.state();
            let State { pipeline, lineage } = &mut *state;
            lineage.clear();
            pipeline.edit(edit, lineage)
        });
        done.map_err(|error| {
            invalid("E-EDIT", error, "`summary()` lists what is alive; docs/reference/errors.md has all reasons")
        })
    }
}

fn read_edit(text: &str) -> serde_json::Result<Edit> {
    serde_json::from_str(text)
}

#[pymethods]
impl Model {
    #[new]
    #[pyo3(signature = (settings="", keep=Vec::new()))]
    fn new(settings: &str, keep: Vec<String>) -> PyResult<Self> {
        let settings = settings::parse(settings)?;
        let pipeline = Pipeline::new(&settings.model);
        let pipeline = pipeline.map_err(|error| invalid("E-SETTINGS", error, "mend model.kind"))?;
        Ok(Self::of(pipeline.keeping(keep).watching(settings.watch)))
    }

    /// The model that a snapshot was made of, by this package or by the engine; also a file of the engine's `snapshots/`, frame and all.
    #[staticmethod]
    fn restore(py: Python<'_>, bytes: &[u8]) -> PyResult<Self> {
        let pipeline = py.detach(|| Pipeline::restore(unframed(bytes))).map_err(|error| unreadable("a model", &error))?;
        if pipeline.has_window() {
            let message = "the model looks for duplicates (clean.duplicates), which the engine alone does";
            return Err(invalid("E-SETTINGS", message, "go on with `windrow run`"));
        }
        Ok(Self::of(pipeline))
    }

    /// Has its clusters watched once `start` pages are learnt, unless they are watched: a model that has not come so far does not know of it.
    #[pyo3(signature = (false_alarms, start=0))]
    fn watch(&self, py: Python<'_>, false_alarms: f64, start: u64) {
        py.detach(|| self.state().pipeline.watch(WatchSettings { false_alarms, from: start }));
    }

    /// The whole model as bytes; equal models give equal bytes.
    fn snapshot<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = py.detach(|| {
            let pipeline = &mut self.state().pipeline;
            pipeline.settle();
            pipeline.snapshot()
        });
        PyBytes::new(py, &bytes)
    }

    /// Learns the pages in their order: one decision each.
    fn learn(&self, py: Python<'_>, prepared: &Prepared) -> PyResult<Batch> {
        py.detach(|| {
            let mut state = self.state();
            let wanted = state.pipeline.kept_names().len();
            let pages = &prepared.inner.pages;
            if pages.kept.len() != wanted && !pages.is_empty() {
                let message = format!("the pages carry {} columns along, the model {wanted}", pages.kept.len());
                return Err(invalid("E-SETTINGS", message, "give Preparer and Model the same `keep`"));
            }
            let mut outcome = Outcome::default();
            state.pipeline.learn(&prepared.inner, &mut outcome);
            state.lineage = std::mem::take(&mut outcome.lineage);
            Ok(Batch(columns::decisions(&outcome)))
        })
    }

    /// What this model, which stays as it is, makes of a batch whose first page has this place in the order: as bytes for `learn_sample` of
    /// the model that it is a copy of, and how many pages must be learnt there. Those are all that it does not explain, and a share of
    /// `rate` of the others.
    fn sample<'py>(
        &self,
        py: Python<'py>,
        prepared: &Prepared,
        position: u64,
        rate: f64,
    ) -> PyResult<(Bound<'py, PyBytes>, usize)> {
        let made = py.detach(|| self.state().pipeline.sample(&prepared.inner, position, rate));
        let sample = made.map_err(|error| no_sampling(&error))?;
        let bytes = py.detach(|| sample.to_bytes());
        Ok((PyBytes::new(py, &bytes), sample.n_learnt()))
    }

    /// Learns what copies of this model made of a batch: one decision each, of all its pages. `settle` comes behind the last of a batch.
    fn learn_sample(&self, py: Python<'_>, sample: &[u8], source: u32) -> PyResult<Batch> {
        py.detach(|| {
            let mut sample = Sample::from_bytes(sample).map_err(|error| unreadable("a sample", &error))?;
            sample.set_source(source);
            let mut state = self.state();
            let mut outcome = Outcome::default();
            state.pipeline.learn_sample(&sample, &mut outcome).map_err(|error| no_sampling(&error))?;
            state.lineage = std::mem::take(&mut outcome.lineage);
            Ok(Batch(columns::decisions(&outcome)))
        })
    }

    /// Ends a batch that was learnt from samples, as `learn`, `snapshot` and edits do too.
    fn settle(&self, py: Python<'_>) {
        py.detach(|| self.state().pipeline.settle());
    }

    /// Where the pages belong among what is alive, without learning them. Null where nothing is known that they are like.
    fn assign(&self, py: Python<'_>, prepared: &Prepared) -> Batch {
        py.detach(|| {
            let state = self.state();
            let places = state.pipeline.place(&prepared.inner.pages);
            Batch(columns::places(&places, &state.pipeline))
        })
    }

    /// Why the model, as it stands, would put a page where it would: `row` counts the pages of the batch.
    fn explain<'py>(&self, py: Python<'py>, prepared: &Prepared, row: usize) -> PyResult<Bound<'py, PyDict>> {
        let n_pages = prepared.inner.pages.len();
        if row >= n_pages {
            return Err(invalid(
                "E-INPUT-ROW",
                format_args!("there is no page {row}: the batch has {n_pages}"),
                "count from 0",
            ));
        }
        let (explanation, labels) = py.detach(|| {
            let state = self.state();
            let found = state.pipeline.explain(&prepared.inner.pages, row);
            let label = |it: &Option<Candidate>| Some(state.pipeline.label(it.as_ref()?.cluster)?.to_owned());
            let labels = (label(&found.winner), label(&found.runner_up));
            (found, labels)
        });
        let dict = PyDict::new(py);
        dict.set_item("winner", explanation.winner.map(|it| candidate(py, &it, labels.0)).transpose()?)?;
        dict.set_item("runner_up", explanation.runner_up.map(|it| candidate(py, &it, labels.1)).transpose()?)?;
        dict.set_item("novel", explanation.novel)?;
        dict.set_item("threshold", explanation.threshold)?;
        Ok(dict)
    }

    /// What happened to clusters and micro-clusters in the last call that changed the model.
    fn lineage(&self, py: Python<'_>) -> Batch {
        py.detach(|| Batch(columns::lineage(&self.state().lineage)))
    }

    /// Names a living cluster; an empty label takes the name away.
    fn rename(&self, py: Python<'_>, cluster: u32, label: String) -> PyResult<()> {
        self.change(py, &Edit::Rename { cluster, label })
    }

    /// Keeps a cluster alive on its slot, or lets it go again.
    #[pyo3(signature = (cluster, pinned=true))]
    fn pin(&self, py: Python<'_>, cluster: u32, pinned: bool) -> PyResult<()> {
        self.change(py, &Edit::Pin { cluster, pinned })
    }

    /// Does an edit as the engine's log has it: `{"edit": "merge", "cluster": 7, "into": 3}`.
    fn edit(&self, py: Python<'_>, edit: &str) -> PyResult<()> {
        let edit = read_edit(edit).map_err(|error| invalid("E-EDIT", error, "docs/reference/api.md lists the edits"))?;
        self.change(py, &edit)
    }

    /// What is wrong with the form of an edit; none where it can be read.
    #[staticmethod]
    fn wrong_edit(edit: &str) -> Option<String> {
        read_edit(edit).err().map(|error| error.to_string())
    }

    /// Pages learnt.
    #[getter]
    fn position(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.state().pipeline.position())
    }

    /// The settings of the model, as `[model]` of a settings file.
    #[getter]
    fn settings(&self, py: Python<'_>) -> String {
        py.detach(|| settings::text(self.state().pipeline.settings()))
    }

    /// Columns that are carried along.
    #[getter]
    fn keep(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| self.state().pipeline.kept_names().to_vec())
    }

    /// What is alive: pages learnt, terms, micro-clusters, and every cluster.
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (summary, delivered, labels) = py.detach(|| {
            let pipeline = &self.state().pipeline;
            let summary = pipeline.summary();
            let delivered: std::collections::BTreeMap<u32, u64> = pipeline.delivered().collect();
            let labels: Vec<_> =
                summary.clusters.iter().map(|it| pipeline.label(it.cluster).unwrap_or_default().to_owned()).collect();
            (summary, delivered, labels)
        });
        let clusters = PyList::empty(py);
        for (cluster, label) in summary.clusters.iter().zip(labels) {
            let dict = PyDict::new(py);
            dict.set_item("cluster", cluster.cluster)?;
            dict.set_item("slot", cluster.slot)?;
            dict.set_item("label", label)?;
            dict.set_item("pages", delivered.get(&cluster.cluster).copied().unwrap_or(0))?;
            dict.set_item("weight", cluster.weight)?;
            dict.set_item("pinned", cluster.pinned)?;
            let members = summary.micro_clusters.iter().filter(|it| it.cluster == cluster.cluster);
            dict.set_item("micro_clusters", members.count())?;
            clusters.append(dict)?;
        }
        let dict = PyDict::new(py);
        dict.set_item("pages", summary.n_pages)?;
        dict.set_item("terms", summary.n_terms)?;
        dict.set_item("micro_clusters", summary.micro_clusters.len())?;
        dict.set_item("clusters", clusters)?;
        Ok(dict)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("Model({} pages learnt)", self.position(py))
    }
}

fn no_sampling(error: &NoSampling) -> PyErr {
    invalid("E-SETTINGS", error, "learn all pages, or take the model two-level without `keep`; a batch has copies of one model")
}

/// The model in a file of the engine's, which puts a frame of its own around it. The model's own checksum is the stronger one.
fn unframed(bytes: &[u8]) -> &[u8] {
    const FRAME: usize = 24;
    const MAGIC: &[u8] = b"WINDROWM";
    match bytes.get(FRAME..) {
        Some(model) if model.starts_with(MAGIC) => model,
        _ => bytes,
    }
}

fn candidate<'py>(py: Python<'py>, it: &Candidate, label: Option<String>) -> PyResult<Bound<'py, PyDict>> {
    let parts = PyList::empty(py);
    for part in &it.parts {
        let dict = PyDict::new(py);
        dict.set_item("kind", kind_name(part.kind))?;
        dict.set_item("term", &part.term)?;
        dict.set_item("share", part.share)?;
        parts.append(dict)?;
    }
    let dict = PyDict::new(py);
    dict.set_item("cluster", it.cluster)?;
    dict.set_item("label", label)?;
    dict.set_item("micro_cluster", it.micro_cluster)?;
    dict.set_item("score", it.score)?;
    dict.set_item("parts", parts)?;
    Ok(dict)
}

fn kind_name(kind: TermKind) -> &'static str {
    match kind {
        TermKind::Word => "word",
        TermKind::Host => "host",
        TermKind::Domain => "domain",
        TermKind::Shape => "shape",
        TermKind::Template => "template",
    }
}
