use resvg::usvg::roxmltree::{self, Document};
use resvg::usvg::{Group, Node, TextChunk};
use windrow_core::pipeline::{ClusterView, Example, Likeness, Theme};
use windrow_core::quality::Scores;
use windrow_engine::eval;
use windrow_engine::history::{ByCluster, DomainTable, Gap, Messages, Timeline};

use super::*;

/// Labels as strangers make them.
const HOSTILE: [&str; 10] = [
    "<script>alert(1)</script>",
    "\"/><svg onload=alert(1)>",
    "]]><!ENTITY x SYSTEM 'file:///etc/passwd'>&x;",
    "\u{1b}[31mred\u{7}\0\u{8}\u{fffe}\u{ffff}",
    "\u{202e}gnp.exe\u{2066} שלום עולם",
    "javascript:alert(1)",
    "العربية، أخبار، اقتصاد",
    "a\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308} zalgo",
    "👩‍👩‍👧‍👦 🇮🇱 family",
    "x' onmouseover='alert(1)",
];

fn view_of(labels: &[String]) -> View {
    let n = u32::try_from(labels.len()).unwrap();
    let cluster = |(id, label): (u32, &String)| ClusterView {
        cluster: id,
        label: label.clone(),
        delivered: u64::from(n - id) * 1_000,
        weight: f64::from(n - id),
        micro_clusters: 1,
        domains: vec![(label.clone(), 3)],
        themes: vec![Theme { micro_cluster: u64::from(id), likeness: 0.7, ..Theme::default() }],
        neighbours: (0..n).filter(|other| *other != id).map(|other| Likeness { cluster: other, likeness: 0.2 }).collect(),
        latest: vec![Example { title: label.clone(), url: label.clone(), ..Example::default() }],
        ..ClusterView::default()
    };
    let clusters: Vec<_> = (0..).zip(labels).map(cluster).collect();
    View { pages: clusters.iter().map(|one| one.delivered).sum(), micro_clusters: u64::from(n), clusters, ..View::default() }
}

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("cluster of words number {i}, and more of them")).collect()
}

/// Labels of many scripts.
const WORLD: [&str; 12] = [
    "नमस्ते, दुनिया, समाचार, क्षेत्र",
    "สวัสดีชาวโลก, ข่าว, เศรษฐกิจ",
    "東京 タワー, ニュース, 経済",
    "新聞, 香港, 經濟日報",
    "한국어, 뉴스, 경제",
    "Ελλάδα, ειδήσεις, οικονομία",
    "новости, правительство, россия",
    "العربية, أخبار, اقتصاد",
    "חדשות, כלכלה, lg, 2021",
    "செய்திகள், பொருளாதாரம்",
    "ქართული, სიახლეები",
    "tiếng Việt, kinh tế, naïve café",
];

fn world() -> Vec<String> {
    WORLD.iter().map(|label| (*label).to_owned()).collect()
}

fn hostile() -> Vec<String> {
    HOSTILE.iter().map(|label| (*label).to_owned()).chain(["é".repeat(5_000), "W".repeat(10_000), String::new()]).collect()
}

/// All four pictures, and the same of nothing.
fn pictures(view: &View, fonts: &Fonts) -> Vec<String> {
    let history = History::default();
    let known = Known::new(view, &history, &Counters::default(), (7, 1_700_000_000_000_000));
    let clusters: ByCluster = view.clusters.iter().map(|one| (one.cluster, one.delivered)).collect();
    let messages = Messages { range: Some((0, 86_400)), clusters, others: 3 };
    let counts = |id: u32| (0..100).map(|i| (!(40..50).contains(&i)).then(|| u64::from((i * 7 + id) % 13))).collect::<Vec<_>>();
    let timeline = Timeline {
        bucket_seconds: 3_600,
        times: (0..100).map(|i| i * 3_600).collect(),
        series: view.clusters.iter().take(16).map(|one| (one.cluster, counts(one.cluster))).collect(),
        n_others: 4,
        others: counts(99),
        undated: 5,
        gaps: vec![Gap { from: 40 * 3_600, to: 50 * 3_600, reason: "killed".into() }],
    };
    let shown = || view.clusters.iter().take(NAMED);
    let domains = DomainTable {
        clusters: shown().map(|one| (one.cluster, one.delivered)).collect(),
        domains: shown().map(|one| (one.label.clone(), one.delivered)).collect(),
        counts: shown().map(|row| shown().map(|one| u64::from(row.cluster * one.cluster)).collect()).collect(),
        other_clusters: shown().map(|_| 1).collect(),
        other_domains: shown().map(|_| 2).collect(),
        other: 9,
        total: view.pages,
    };
    let mut map = Map::default();
    map.follow(view);
    let draw = |draw: &dyn Fn(&mut Svg<'_>)| {
        let mut svg = Svg::new(fonts, 1_200.0);
        draw(&mut svg);
        svg.finish(&known.source)
    };
    let scope = Scope { clock: Clock::Arrival, window: Window::All };
    vec![
        draw(&|svg| messages::draw(svg, &known, &messages, scope)),
        draw(&|svg| timeline::draw(svg, &known, &timeline, scope)),
        draw(&|svg| domains::draw(svg, &known, &domains)),
        draw(&|svg| map::draw(svg, &known, &map)),
        draw(&|svg| messages::draw(svg, &known, &Messages::default(), scope)),
        draw(&|svg| timeline::draw(svg, &known, &Timeline::default(), scope)),
        draw(&|svg| domains::draw(svg, &known, &DomainTable::default())),
    ]
}

/// An evaluation with two seeds each; `two-level` has micro-clusters that are not its clusters.
fn evaluation(models: &[&str], orders: &[&str], windows: u64) -> eval::Report {
    let scores = |value: f64, n: u64| Scores {
        n,
        nmi_geometric: value,
        nmi_arithmetic: value,
        ami: value,
        ari: value - 0.5,
        homogeneity: value,
        completeness: value,
    };
    let window = |at: u64, seed: u64| eval::Window {
        from: at * 500,
        rows: 500,
        labels: 20 + at,
        micro: scores(0.9 - at as f64 / 100.0, 3_000 + at),
        cluster: scores(0.4 + seed as f64 / 10.0, 20),
    };
    let trial = |(model, order, seed): (&str, &str, u64)| {
        let windows: Vec<eval::Window> = (0..windows).map(|at| window(at, seed)).collect();
        let micro = if model == "two-level" { windows[0].micro } else { windows[0].cluster };
        eval::Trial {
            model: model.to_owned(),
            order: order.parse().unwrap(),
            seed,
            rows: windows.len() as u64 * 500,
            rejects: 0,
            scored: windows.len() as u64 * 500,
            labels: 20,
            elapsed: std::time::Duration::from_secs(1),
            micro,
            cluster: windows[0].cluster,
            alive: 7,
            windows,
        }
    };
    let each = models.iter().flat_map(|model| orders.iter().flat_map(move |order| [1, 2].map(|seed| (*model, *order, seed))));
    eval::Report { trials: each.map(trial).collect(), summaries: Vec::new() }
}

#[test]
fn scores_have_a_line_for_each_model_and_a_shade_for_seeds() {
    let fonts = Fonts::installed();
    let report = evaluation(&["two-level", "kmeans"], &["given", "bursts+diluted"], 20);
    let svg = scores(&report, "made up", &fonts, 1_120.0);
    let parsed = Document::parse(&svg).unwrap();
    let count = |class: &str| parsed.descendants().filter(|node| node.attribute("class") == Some(class)).count();
    // Three charts for each of two orders, and the legend.
    assert_eq!([1, 2, 3].map(|at| count(&format!("curve series{at}"))), [7, 7, 7]);
    assert_eq!((count("curve series0"), count("curve series4")), (3, 0));
    // The micro-clusters and the numbers are the same for both seeds.
    assert_eq!([1, 2, 3].map(|at| count(&format!("shade series{at}"))), [0, 4, 4]);
    for name in ["two-level, micro-clusters", "two-level, clusters", "kmeans", "given", "bursts+diluted", "labels"] {
        assert!(parsed.descendants().any(|node| node.is_text() && node.text() == Some(name)), "{name}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}

/// Boxes of all texts that stand upright: left, top, right, bottom.
fn texts(group: &Group, found: &mut Vec<(String, [f32; 4])>) {
    for node in group.children() {
        match node {
            Node::Group(group) => texts(group, found),
            Node::Text(text) if text.abs_transform().is_identity() || !text.abs_transform().has_skew() => {
                let area = text.abs_bounding_box();
                let words = text.chunks().iter().map(TextChunk::text).collect();
                found.push((words, [area.left(), area.top(), area.right(), area.bottom()]));
            }
            _ => {}
        }
    }
}

#[test]
fn hostile_labels_stay_text() {
    let view = view_of(&hostile());
    for svg in pictures(&view, &Fonts::installed()) {
        let parsed = Document::parse(&svg).unwrap();
        for element in parsed.descendants().filter(roxmltree::Node::is_element) {
            let name = element.tag_name().name();
            assert!(["svg", "title", "desc", "text", "rect", "line", "path", "circle", "g"].contains(&name), "{name}");
            let odd = element
                .attributes()
                .find(|one| one.name().starts_with("on") || one.name().contains("href") || one.name() == "style");
            assert_eq!(odd.map(|one| one.name()), None);
        }
        assert!(svg.len() < 200_000, "long labels are cut");
        assert!(!svg.contains(['\u{202e}', '\u{2066}', '\u{1b}', '\u{fffe}']));
    }
}

#[test]
fn the_page_to_keep_holds_nothing_that_runs_or_is_fetched() {
    let view = view_of(&hostile());
    let history = History::default();
    let known = Known::new(&view, &history, &Counters::default(), (7, 0));
    let html = page(&known, &Fonts::installed());
    for tag in ["<script", "<img", "<iframe", "<link", "<object", "<embed", "<form", "src=", "url(", "@import"] {
        assert!(!html.contains(tag), "{tag}");
    }
    assert_eq!(html.matches("href=").count(), 0, "none of these URLs is one to follow");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    let (open, close) = (html.matches("<bdi>").count(), html.matches("</bdi>").count());
    assert!(open == close && open > 30);
    assert_eq!(html.matches("<figure>").count(), 4);
}

#[test]
fn addresses_to_follow_hide_nothing() {
    let mut view = view_of(&names(1));
    let url = "https://shop.example/\u{202e}gnp.\u{1b}[2J\u{200b}/à?q=\"x\"".to_owned();
    view.clusters[0].latest[0].url = url;
    let (history, counters) = (History::default(), Counters::default());
    let html = page(&Known::new(&view, &history, &counters, (7, 0)), &Fonts::installed());
    assert!(html.contains("href=\"https://shop.example/%E2%80%AEgnp.%1B[2J%E2%80%8B/à?q=&quot;x&quot;\""), "one may follow it");
    assert!(!html.contains(['\u{202e}', '\u{1b}', '\u{200b}']));
}

#[test]
fn no_two_texts_overlap_and_all_lie_on_the_paper() {
    let fonts = Fonts::installed();
    for labels in [names(40), names(1), world(), hostile(), Vec::new()] {
        let all = ["given", "shuffled", "sorted", "bursts", "shuffled+diluted"];
        let evaluations = [evaluation(&["two-level", "kmeans", "original"], &all, 20), evaluation(&["kmeans"], &["given"], 1)];
        let source = labels.join(" · ");
        let evaluations = evaluations.map(|report| scores(&report, &source, &fonts, 1_120.0));
        for svg in pictures(&view_of(&labels), &fonts).into_iter().chain(evaluations) {
            let tree = png::tree(&svg, &fonts).unwrap();
            let (mut found, size) = (Vec::new(), tree.size());
            texts(tree.root(), &mut found);
            for (i, (words, [left, top, right, bottom])) in found.iter().enumerate() {
                let inside = *left >= 0.0 && *top >= 0.0 && *right <= size.width() && *bottom <= size.height();
                assert!(inside, "{words:?} reaches out: {left} {top} {right} {bottom} of {size:?}");
                let over = found[..i].iter().find(|(_, other)| {
                    left + 1.0 < other[2] && other[0] + 1.0 < *right && top + 1.0 < other[3] && other[1] + 1.0 < *bottom
                });
                assert_eq!(over.map(|(other, _)| other), None, "on {words:?}");
            }
        }
    }
}

#[test]
fn gaps_are_blank() {
    let svg = &pictures(&view_of(&names(1)), &Fonts::installed())[1];
    let parsed = Document::parse(svg).unwrap();
    let marks = parsed.descendants().filter(|node| node.tag_name().name() == "path");
    assert_eq!(
        marks.filter(|node| node.attribute("class") == Some("mark")).count(),
        2,
        "one shape before the gap, one behind it"
    );
    assert_eq!(svg.matches("class=\"gap\"").count(), 1);
}

#[test]
fn texts_are_cut_between_characters_as_people_see_them() {
    for fonts in [Fonts::installed(), Fonts::none()] {
        for text in ["e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}", "👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦", "நிநிநிநிநிநிநி"]
        {
            let cut = fonts.cut(text, 14.0, 40.0);
            let kept = cut.trim_end_matches('…');
            assert!(cut.ends_with('…') && text.starts_with(kept), "{cut:?}");
            let whole = unicode_segmentation::UnicodeSegmentation::grapheme_indices(text, true);
            assert!(whole.map(|(at, _)| at).any(|at| at == kept.len()), "{cut:?} ends within a character");
            assert!(fonts.width(&cut, 14.0) <= 40.0);
        }
        assert_eq!(fonts.cut("short", 14.0, 400.0), "short");
        assert_eq!(fonts.cut("anything", 14.0, 1.0), "");
    }
}

#[test]
fn a_script_without_a_font_is_named() {
    let missing = fonts::missing("ก日ข한☃".chars());
    let told: Vec<_> = missing.iter().map(|one| (one.script.as_str(), one.sample.as_str(), one.package)).collect();
    assert_eq!(
        told,
        [
            ("Han", "日", "fonts-noto-cjk"),
            ("Hangul", "한", "fonts-noto-cjk"),
            ("Thai", "กข", "fonts-noto-core"),
            ("symbols and emoji", "☃", "fonts-noto-color-emoji")
        ]
    );
    // A private character is in no font of words.
    let fonts = Fonts::installed();
    if !fonts.is_empty() {
        let (_, missing) = png(&pictures(&view_of(&["\u{10fffd}".to_owned()]), &fonts)[0], &fonts).unwrap();
        assert_eq!(missing.len(), 1);
        let (bytes, missing) = png(&pictures(&view_of(&names(3)), &fonts)[0], &fonts).unwrap();
        assert_eq!((&bytes[1..4], missing), (b"PNG".as_slice(), Vec::new()));
    }
}
