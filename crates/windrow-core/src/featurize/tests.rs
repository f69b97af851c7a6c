use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;

use ::url::Url;
use proptest::prelude::*;

use super::*;

/// The rows of a CSV file below `root`, unzipped; `None`, with a line saying so, when it is not there.
fn rows(root: &str, file: &str) -> Option<Vec<csv::StringRecord>> {
    let mut reader = csv::Reader::from_reader(open(root, file)?);
    Some(reader.records().collect::<Result<_, _>>().expect("the data sets are well-formed"))
}

fn open(root: &str, file: &str) -> Option<Box<dyn Read>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(root).join(file);
    match std::fs::File::open(&path) {
        Ok(read) if file.ends_with(".gz") => Some(Box::new(flate2::read::MultiGzDecoder::new(read))),
        Ok(read) => Some(Box::new(read)),
        Err(error) => {
            eprintln!("passed over: {} ({error})", path.display());
            None
        }
    }
}

fn page<'a>(row: &'a csv::StringRecord) -> CleanRow<'a> {
    CleanRow { creation_time: None, id: &row[1], url: &row[2], title: &row[3], keywords: &row[4], description: &row[5] }
}

fn featurize<'a>(fields: &str, rows: impl IntoIterator<Item = CleanRow<'a>>) -> Pages {
    let mut pages = Pages::default();
    let mut featurizer = Featurizer::new(FieldWeights::from_fields(fields).expect("fields"));
    featurizer.start_batch();
    rows.into_iter().for_each(|row| featurizer.featurize(&row, &mut pages));
    pages
}

/// Kind and text of each term of a page with its weight.
fn terms(pages: &Pages, index: usize) -> Vec<(TermKind, &str, f32)> {
    let terms = &pages.terms;
    terms
        .entries(index)
        .map(|at| (at, terms.term[at] as usize))
        .map(|(at, n)| (terms.kind[n], terms.text.get(n), terms.weight[at]))
        .collect()
}

fn row<'a>(url: &'a str, title: &'a str, keywords: &'a str) -> CleanRow<'a> {
    CleanRow { creation_time: None, id: "", url, title, keywords, description: "" }
}

#[test]
fn weights_are_field_weight_times_count() {
    let page = row("https://www.example.co.uk/rust-news/4711", "Rust and the rust", "rust, news");
    let pages = featurize("title=2,keywords,path=.5,host,domain=3,shape", [page]);
    assert_eq!(
        terms(&pages, 0),
        [
            (TermKind::Word, "rust", 5.5),
            (TermKind::Word, "news", 1.5),
            (TermKind::Host, "www.example.co.uk", 1.0),
            (TermKind::Domain, "example.co.uk", 3.0),
            (TermKind::Shape, "/w-/#", 1.0),
        ]
    );
}

#[test]
fn terms_are_numbered_by_the_batch() {
    let rows = [row("", "one two", ""), row("", "", ""), row("", "three two two", "")];
    let pages = featurize("title", rows);
    assert_eq!(pages.terms.ends, [2, 2, 4]);
    assert_eq!(pages.terms.term, [0, 1, 2, 1]);
    assert_eq!(pages.terms.weight, [1.0, 1.0, 1.0, 2.0]);

    let mut featurizer = Featurizer::default();
    for _ in 0..2 {
        let mut again = Pages::default();
        featurizer.start_batch();
        rows.iter().for_each(|row| featurizer.featurize(row, &mut again));
        assert_eq!(again, pages, "a new batch begins from nothing");
    }
}

#[test]
fn a_log_in_page_speaks_of_the_page_behind_it() {
    let login = "https://www.facebook.com/login/?next=https%3A%2F%2Fshop.example.org%2FCicloturismo-Bizkaia%2F&_fb_noscript=1";
    let pages = featurize("path,host,domain", [row(login, "", "")]);
    assert_eq!(pages.domain.get(0), "facebook.com", "the domain is that of the address as read");
    assert_eq!(
        terms(&pages, 0).iter().map(|(_, text, _)| *text).collect::<Vec<_>>(),
        ["cicloturismo", "bizkaia", "shop.example.org", "example.org"]
    );
}

#[test]
fn the_original_sample_is_all_pages_with_terms() {
    let rows = rows("examples/data", "sample_campaign_data_2023.csv").expect("the sample is in the repository");
    assert_eq!(rows.len(), 100);
    let pages = featurize("title,keywords,description,path", rows.iter().map(page));
    let domains = |domain: &str| (0..100).filter(|&index| pages.domain.get(index) == domain).count();
    assert_eq!((domains("facebook.com"), domains("youtube.com"), domains("")), (19, 7, 0));
    let empty = (0..100).filter(|&index| pages.terms.entries(index).is_empty()).count();
    assert_eq!(empty, 0);
    let logins = rows.iter().enumerate().filter(|(_, row)| row[2].starts_with("https://www.facebook.com/login/"));
    for (index, row) in logins {
        let words: BTreeSet<&str> = terms(&pages, index).into_iter().map(|(_, text, _)| text).collect();
        assert!(!words.contains("login") && words.len() > 2, "{} {words:?}", &row[2]);
    }
}

#[test]
fn hosts_are_those_of_the_crate_url() {
    let Some(odd) = rows("../shared/data", "odd_urls.csv.gz") else { return };
    let mut parser = UrlParser::default();
    let mut ips = 0;
    for row in &odd {
        let expected = Url::parse(&row[2]).ok().and_then(|url| Some(url.host_str()?.trim_matches(['[', ']', '.']).to_owned()));
        let found = parser.parse(&row[2]);
        assert_eq!(found.map(|address| address.host), expected.as_deref(), "{}", &row[2]);
        ips += usize::from(found.is_some_and(|address| address.is_ip && address.domain() == address.host));
    }
    assert!(ips > 10, "{ips} hosts are addresses");
    let pages = featurize("path,host,domain,shape", odd.iter().map(page));
    assert!((0..odd.len()).all(|index| pages.terms.entries(index).len() >= 2), "host and domain at least");
}

#[test]
fn plain_urls_have_registrable_domains() {
    let Some(mut file) = open("../shared/data", "plain_urls.txt.gz") else { return };
    let mut text = String::new();
    file.read_to_string(&mut text).expect("UTF-8");
    let mut parser = UrlParser::default();
    let mut domains = BTreeSet::new();
    for line in text.trim_start_matches('\u{feff}').lines().filter(|line| *line != "https://") {
        let address = parser.parse(line).unwrap_or_else(|| panic!("{line}"));
        let expected = Url::parse(line).expect("ordinary");
        assert_eq!(Some(address.host), expected.host_str().map(|host| host.trim_end_matches('.')));
        assert!(address.is_ip || address.domain().contains('.'), "{line}");
        domains.insert(address.domain().to_owned());
    }
    assert!(domains.len() > 1000, "{} domains", domains.len());
}

#[test]
fn headlines_in_thirty_languages_have_words() {
    let Some(headlines) = rows("../shared/data", "world_headlines_2020_2021.csv.gz") else { return };
    let Some(labels) = rows("../shared/data", "world_headlines_2020_2021.labels.csv.gz") else { return };
    let mut fewest: BTreeMap<&str, usize> = BTreeMap::new();
    for (row, label) in headlines.iter().zip(&labels) {
        let pages = featurize("title,description", [page(row)]);
        let entry = fewest.entry(&label[1]).or_insert(usize::MAX);
        *entry = (*entry).min(pages.terms.term.len());
    }
    assert_eq!(fewest.len(), 30);
    for (language, words) in fewest {
        assert!(words >= 2, "a page in {language} has {words} words");
    }
}

proptest! {
    #[test]
    fn any_row_gives_well_formed_terms(url in any::<String>(), title in any::<String>(), keywords in "[a-c &;<>/ ]{0,40}") {
        let rows = [row(&url, &title, &keywords), row(&title, &keywords, &url)];
        let pages = featurize("title,keywords,path,host,domain,shape", rows);
        let terms = &pages.terms;
        prop_assert_eq!((terms.ends.len(), pages.domain.len()), (2, 2));
        prop_assert_eq!((terms.hash.len(), terms.kind.len()), (terms.text.len(), terms.text.len()));
        prop_assert_eq!(terms.hash.iter().collect::<BTreeSet<_>>().len(), terms.hash.len());
        for index in 0..2 {
            let numbers: BTreeSet<u32> = terms.entries(index).map(|at| terms.term[at]).collect();
            prop_assert_eq!(numbers.len(), terms.entries(index).len(), "a page names a term once");
        }
        prop_assert!(terms.weight.iter().all(|weight| *weight > 0.0));
        // First appearances are numbered in order.
        let mut next = 0;
        for &number in &terms.term {
            prop_assert!(number <= next);
            next += u32::from(number == next);
        }
    }
}
