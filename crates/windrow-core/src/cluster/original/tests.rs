use super::*;
use crate::lineage::Happening;
use crate::testing::{check_clusterer, drifting_texts, pages_of};

/// The model with titles for addresses: the contract's pages have nothing else. What a title says has no dots, so all of it is the
/// main domain.
struct Titled(Original);

fn titled(pages: &Pages) -> Pages {
    Pages { url: pages.title.clone(), domain: pages.title.clone(), ..pages.clone() }
}

impl Clusterer for Titled {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }
    fn block_len(&self) -> usize {
        self.0.block_len()
    }
    fn learn(&mut self, pages: &Pages, rows: Range<usize>, decisions: &mut Vec<Decision>, log: &mut Vec<LineageEvent>) {
        // A copy of the block alone: the contract hands over many at once.
        let mut block = Pages::default();
        for row in rows.clone() {
            [&mut block.url, &mut block.domain].into_iter().for_each(|column| column.push(pages.title.get(row)));
        }
        self.0.learn(&block, 0..rows.len(), decisions, log);
    }
    fn assign(&self, pages: &Pages, row: usize) -> Option<Decision> {
        self.0.assign(&titled(pages), row)
    }
    fn place(&self, pages: &Pages, rows: Range<usize>, places: &mut Vec<Option<Assignment>>) {
        self.0.place(&titled(pages), rows, places);
    }
    fn explain(&self, pages: &Pages, row: usize) -> Explanation {
        self.0.explain(&titled(pages), row)
    }
    fn generation(&self) -> u64 {
        self.0.generation()
    }
    fn summary(&self) -> ModelSummary {
        self.0.summary()
    }
    fn micro_terms(&self, micro_clusters: &[MicroId]) -> Vec<Vec<(u32, f64)>> {
        self.0.micro_terms(micro_clusters)
    }
    fn cluster_terms(&self) -> Vec<(ClusterId, Vec<(u32, f64)>)> {
        self.0.cluster_terms()
    }
    fn term(&self, number: u32) -> (TermKind, &str) {
        self.0.term(number)
    }
    fn edit(&mut self, edit: &Edit, log: &mut Vec<LineageEvent>) -> Result<(), EditError> {
        self.0.edit(edit, log)
    }
    fn snapshot(&self) -> Vec<u8> {
        self.0.snapshot()
    }
    fn restore(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.0.restore(bytes)
    }
}

fn settings(batch: u32) -> ModelSettings {
    let mut settings = ModelSettings { kind: KIND.into(), ..ModelSettings::default() };
    settings.original.batch = batch;
    settings
}

#[test]
fn the_contract_is_kept() {
    check_clusterer(|asked| {
        let original = settings(50).original;
        Box::new(Titled(Original::new(&ModelSettings { kind: KIND.into(), original, ..asked.clone() })))
    });
}

fn addressed(hosts: &[&str]) -> Pages {
    let mut pages = pages_of(hosts);
    (pages.url, pages.domain) = (pages.title.clone(), pages.title.clone());
    pages
}

fn learn(model: &mut Original, hosts: &[&str]) -> (Vec<Decision>, Vec<LineageEvent>) {
    let (mut decisions, mut log) = (Vec::new(), Vec::new());
    let pages = addressed(hosts);
    model.learn(&pages, 0..pages.len(), &mut decisions, &mut log);
    (decisions, log)
}

#[test]
fn as_many_clusters_as_features_are_a_hash_and_ids_stay_put() {
    let mut model = Original::new(&settings(100));
    let hosts = ["a.com", "b.com", "www.a.org", "c.com", "a.com", "d.com"];
    let (first, born) = learn(&mut model, &hosts);
    assert_eq!(first[0].cluster, first[2].cluster, "one main domain, one cluster");
    assert!(first.iter().all(|decision| decision.score == 1.0), "every page is at its centre");
    assert_eq!(born.len(), 4, "{born:?}");
    learn(&mut model, &["e.com", "d.com", "f.com"]);
    let mut turned = hosts;
    turned.reverse();
    let (second, log) = learn(&mut model, &turned);
    assert_eq!(log, [], "the same pages in another order, and others between, are the same clusters");
    let ids = |decisions: &[Decision]| decisions.iter().map(|decision| decision.micro_cluster).collect::<Vec<_>>();
    let mut back = ids(&second);
    back.reverse();
    assert_eq!(back, ids(&first));
    assert!(second.iter().all(|decision| !decision.novel));
}

#[test]
fn who_has_had_no_pages_for_longest_makes_room_unless_it_is_pinned() {
    let mut model = Original::new(&ModelSettings { clusters: 2.into(), ..settings(100) });
    let (first, _) = learn(&mut model, &["a.com", "b.com", "a.com"]);
    let (a, b) = (first[0].cluster, first[1].cluster);
    assert_ne!(a, b);
    model.edit(&Edit::Pin { cluster: a, pinned: true }, &mut Vec::new()).unwrap();
    // Nobody knows them: one opens a cluster in the place of b, the other one has no slot but that of a.
    let (second, log) = learn(&mut model, &["c.com", "d.com", "d.com", "c.com", "c.com"]);
    assert_ne!(second[0].cluster, second[1].cluster);
    assert!(second.iter().any(|decision| decision.cluster == a), "{second:?}");
    assert!(log.iter().any(|event| event.cluster == b && matches!(event.happening, Happening::ClusterDied { .. })), "{log:?}");
    let alive: Vec<ClusterId> = model.summary().clusters.iter().map(|cluster| cluster.cluster).collect();
    assert!(alive.contains(&a) && alive.len() == 2, "{alive:?}");
}

#[test]
fn clusters_are_called_by_their_domains() {
    let mut model = Original::new(&settings(100));
    learn(&mut model, &["www.a.com", "www.a.com", "b.com", ""]);
    let named: Vec<Vec<(&str, f64)>> = model
        .cluster_terms()
        .iter()
        .map(|(_, terms)| terms.iter().map(|(number, weight)| (model.term(*number).1, *weight)).collect())
        .collect();
    assert_eq!(named, [vec![("www.a.com", 2.0)], vec![("b.com", 1.0)], vec![]]);
}

#[test]
fn most_pages_stay_where_they_were_when_all_is_fitted_anew() {
    // Fewer clusters than features: what is put together changes from fit to fit.
    let mut model = Titled(Original::new(&ModelSettings { clusters: 8.into(), ..settings(200) }));
    let texts: Vec<String> =
        drifting_texts(4_000, 5, 3).iter().map(|text| text.split(' ').next().unwrap_or("").to_owned()).collect();
    let (mut decisions, mut log) = (Vec::new(), Vec::new());
    let pages = pages_of(&texts);
    let mut stayed = 0;
    for from in (0..texts.len()).step_by(200) {
        let before: Vec<_> = (from..from + 200).map(|row| model.assign(&pages, row).map(|decision| decision.cluster)).collect();
        model.learn(&pages, from..from + 200, &mut decisions, &mut log);
        let now = decisions[from..].iter().map(|decision| Some(decision.cluster));
        stayed += if from == 0 { 0 } else { now.zip(before).filter(|(now, before)| now == before).count() };
    }
    assert!(stayed > 3_800 / 2, "{stayed} of 3,800");
}
