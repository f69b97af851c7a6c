//! EVIDENCE: why the model did something, in the very numbers that it compared.
//!
//! Each reason is made where the decision falls, and only there: nothing is computed again for it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Why a cluster was born.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Birth {
    /// A slot was free, and nothing explained its first page, which is no more like anything than `threshold`.
    FreeSlot {
        /// Likeness to what was nearest.
        likeness: f64,
        /// Likeness from which on the page would have joined that.
        threshold: f64,
    },
    /// The second page of a micro-cluster came, and no other micro-cluster of its cluster was near.
    SecondPage {
        /// Likeness of the page to the nearest of the others.
        likeness: f64,
        /// Likeness above which that one would have been near.
        threshold: f64,
    },
    /// K-Means found a heavy micro-cluster far from every centre.
    Far {
        /// Likeness to the nearest centre.
        likeness: f64,
        /// Likeness above which it would not have been far.
        threshold: f64,
        /// Its weight in pages.
        weight: f64,
    },
    /// A page came to a centre that waited for one.
    Waiting {
        /// Likeness to the centre.
        likeness: f64,
        /// The largest of what it had to reach: likeness to the nearest cluster, or the least that explains a page.
        threshold: f64,
    },
    /// A centre of a new fit had no page in common with a cluster that was left for it.
    Unshared,
    /// A user parted it from another one.
    Split,
}

/// Why a cluster died.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Death {
    /// It had been too light for too long, and its slot was wanted, or it had nothing left.
    Light {
        /// Its living weight in pages.
        weight: f64,
        /// Weight below which a cluster is light.
        threshold: f64,
        /// Pages for which it had been light.
        n_pages: u64,
    },
    /// It weighed next to nothing beside the heaviest, half of which took its place.
    Outweighed {
        /// Its weight in pages.
        weight: f64,
        /// The share of the heaviest that it had to have.
        threshold: f64,
    },
    /// A slot was needed, and of those that might end it had been without pages for longest.
    Idle {
        /// Pages since its last one.
        n_pages: u64,
    },
    /// A user had it taken in by another one.
    Merged,
}

/// Why a micro-cluster went over to another cluster.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Move {
    /// It was more like the new one by a clear gain.
    Nearer {
        /// Likeness to the new one.
        likeness: f64,
        /// Likeness to the one that it left.
        before: f64,
        /// Likeness that the new one had to exceed.
        threshold: f64,
    },
    /// It opened the cluster: the birth says why.
    Opened,
    /// Its cluster died.
    Orphaned {
        /// Likeness to the new one; none when no other shares a term with it, and any will do.
        likeness: Option<f64>,
    },
}

/// Why a micro-cluster was merged into another one: they were nearer to each other than pages are to micro-clusters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Near {
    /// Their distance.
    pub distance: f64,
    /// Distance below which they are one.
    pub threshold: f64,
}

/// Why a micro-cluster faded away.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Fade {
    /// Next to nothing was left of its weight.
    Light {
        /// Weight left, in pages.
        weight: f64,
        /// Weight that it had to exceed.
        threshold: f64,
    },
    /// Next to nothing was left of each of its terms.
    Termless {
        /// Weight left, in pages.
        weight: f64,
        /// Weight that one of its terms had to exceed.
        threshold: f64,
    },
    /// Room was needed, and it was one of the lightest.
    Evicted {
        /// Weight left, in pages.
        weight: f64,
    },
    /// It was all that its cluster had, which died.
    Ended {
        /// Weight left, in pages; none where the model weighs nothing.
        weight: Option<f64>,
    },
}

/// Why a cluster's label changed: words of the old one lost their place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Relabel {
    /// Words of the old label that are not in the new one.
    pub gone: Vec<String>,
    /// Words of the new label that were not in the old one.
    pub came: Vec<String>,
    /// Of all words of both, the share that both have.
    pub alike: f64,
}

impl Relabel {
    /// The difference of two labels.
    pub(crate) fn between(old: &str, new: &str) -> Self {
        let words =
            |label: &str| -> Vec<String> { label.split(", ").map(str::to_owned).filter(|word| !word.is_empty()).collect() };
        let (old, new) = (words(old), words(new));
        let without = |some: &[String], others: &[String]| -> Vec<String> {
            some.iter().filter(|word| !others.contains(word)).cloned().collect()
        };
        let (gone, came) = (without(&old, &new), without(&new, &old));
        let all = old.len() + came.len();
        let alike = if all == 0 { 0.0 } else { (old.len() - gone.len()) as f64 / all as f64 };
        Self { gone, came, alike }
    }
}

/// A reason as outputs have it. Flat: what a reason does not have is missing.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Evidence {
    /// Which of its reasons an event has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Cow<'static, str>>,
    /// What was compared: to the new cluster, to the nearest one; of labels the share of words that both have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likeness: Option<f64>,
    /// To the cluster that it left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likeness_before: Option<f64>,
    /// Of two that became one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<f64>,
    /// In pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// What the one that decides was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Words that a label lost, with commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words_gone: Option<String>,
    /// Words that it got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words_came: Option<String>,
}

/// A number of a reason.
type Number = fn(&Evidence) -> Option<f64>;

impl Evidence {
    /// The numbers with their names, in the order of the columns.
    pub const NUMBERS: [(&str, Number); 5] = [
        ("likeness", |it| it.likeness),
        ("likeness_before", |it| it.likeness_before),
        ("distance", |it| it.distance),
        ("weight", |it| it.weight),
        ("threshold", |it| it.threshold),
    ];

    fn of(why: &'static str) -> Self {
        Self { why: Some(why.into()), ..Self::default() }
    }

    fn compared(why: &'static str, likeness: f64, threshold: f64) -> Self {
        Self { likeness: Some(likeness), threshold: Some(threshold), ..Self::of(why) }
    }

    fn weighed(why: &'static str, weight: f64, threshold: f64) -> Self {
        Self { weight: Some(weight), threshold: Some(threshold), ..Self::of(why) }
    }

    /// The reason in words, for people; `pages` are those of the event. None where there is no more to say than the event does.
    pub fn said(&self, pages: Option<u64>) -> Option<String> {
        let (likeness, before) = (self.likeness.unwrap_or_default(), self.likeness_before.unwrap_or_default());
        let (weight, threshold) = (self.weight.unwrap_or_default(), self.threshold.unwrap_or_default());
        let pages = pages.unwrap_or_default();
        let said = match self.why.as_deref()? {
            "free_slot" => {
                format!("a slot was free, and nothing like its first page: {}", beside(likeness, "not above", threshold))
            }
            "second_page" => {
                format!(
                    "it got a second page, and nothing else in its cluster is like that: {}",
                    beside(likeness, "not above", threshold)
                )
            }
            "far" => format!("{weight:.1} pages far from every cluster: {}", beside(likeness, "not above", threshold)),
            "waiting" => format!("a new centre was nearer to its first page: {}", beside(likeness, "against", threshold)),
            "unshared" => "it shares no page with a cluster before it".into(),
            "split" => "a user parted it from another one".into(),
            "light" => {
                format!("lighter than {threshold:.0} pages for {pages} pages, {weight:.1} at last")
            }
            "outweighed" => "next to nothing beside the heaviest, half of which took its place".into(),
            "idle" => format!("no page for {pages} pages, and its slot was needed"),
            "merged" => "a user had it taken in".into(),
            "nearer" => format!("more like this cluster than like the one before: {}", beside(likeness, "against", before)),
            "opened" => "it opened this cluster".into(),
            "orphaned" if self.likeness.is_none() => "its cluster died, and nothing else is like it".into(),
            "orphaned" => format!("its cluster died, and this one is the next nearest: likeness {likeness:.2}"),
            "near" => {
                let (distance, threshold) = apart(self.distance.unwrap_or_default(), threshold);
                format!("nearer to each other than pages are to their themes: distance {distance}, below {threshold}")
            }
            "faded" => format!("nothing like it came for long: {weight:.1} pages of weight are left"),
            "termless" => format!("none of its terms was said again: {weight:.1} pages of weight are left"),
            "evicted" => format!("room was needed, and it was among the lightest: {weight:.1} pages of weight"),
            "ended" => "its cluster died".into(),
            "words" => self.said_of_words(),
            _ => return None,
        };
        Some(said)
    }

    fn said_of_words(&self) -> String {
        let part = |words: &Option<String>, what: &str| words.as_ref().map(|words| format!("{what}: {words}"));
        let parts: Vec<String> = part(&self.words_gone, "gone").into_iter().chain(part(&self.words_came, "new")).collect();
        parts.join("; ")
    }
}

/// A likeness and what it was compared with.
fn beside(likeness: f64, word: &str, other: f64) -> String {
    let (likeness, other) = apart(likeness, other);
    format!("likeness {likeness}, {word} {other}")
}

/// Two numbers with as many digits as tell them apart.
fn apart(a: f64, b: f64) -> (String, String) {
    let pair = |digits| (format!("{a:.digits$}"), format!("{b:.digits$}"));
    (2..=6).map(pair).find(|(a, b)| a != b).unwrap_or_else(|| pair(2))
}

impl Birth {
    pub(super) fn evidence(self) -> Evidence {
        match self {
            Self::FreeSlot { likeness, threshold } => Evidence::compared("free_slot", likeness, threshold),
            Self::SecondPage { likeness, threshold } => Evidence::compared("second_page", likeness, threshold),
            Self::Far { likeness, threshold, weight } => {
                Evidence { weight: Some(weight), ..Evidence::compared("far", likeness, threshold) }
            }
            Self::Waiting { likeness, threshold } => Evidence::compared("waiting", likeness, threshold),
            Self::Unshared => Evidence::of("unshared"),
            Self::Split => Evidence::of("split"),
        }
    }
}

impl Death {
    pub(super) fn evidence(self) -> Evidence {
        match self {
            Self::Light { weight, threshold, .. } => Evidence::weighed("light", weight, threshold),
            Self::Outweighed { weight, threshold } => Evidence::weighed("outweighed", weight, threshold),
            Self::Idle { .. } => Evidence::of("idle"),
            Self::Merged => Evidence::of("merged"),
        }
    }

    pub(super) fn pages(self) -> Option<u64> {
        match self {
            Self::Light { n_pages, .. } | Self::Idle { n_pages } => Some(n_pages),
            Self::Outweighed { .. } | Self::Merged => None,
        }
    }
}

impl Move {
    pub(super) fn evidence(self) -> Evidence {
        match self {
            Self::Nearer { likeness, before, threshold } => {
                Evidence { likeness_before: Some(before), ..Evidence::compared("nearer", likeness, threshold) }
            }
            Self::Opened => Evidence::of("opened"),
            Self::Orphaned { likeness } => Evidence { likeness, ..Evidence::of("orphaned") },
        }
    }
}

impl Near {
    pub(super) fn evidence(self) -> Evidence {
        let Self { distance, threshold } = self;
        Evidence { distance: Some(distance), threshold: Some(threshold), ..Evidence::of("near") }
    }
}

impl Fade {
    pub(super) fn evidence(self) -> Evidence {
        match self {
            Self::Light { weight, threshold } => Evidence::weighed("faded", weight, threshold),
            Self::Termless { weight, threshold } => Evidence::weighed("termless", weight, threshold),
            Self::Evicted { weight } => Evidence { weight: Some(weight), ..Evidence::of("evicted") },
            Self::Ended { weight } => Evidence { weight, ..Evidence::of("ended") },
        }
    }
}

impl Relabel {
    pub(super) fn evidence(&self) -> Evidence {
        let words = |words: &[String]| (!words.is_empty()).then(|| words.join(", "));
        let (words_gone, words_came) = (words(&self.gone), words(&self.came));
        Evidence { likeness: Some(self.alike), words_gone, words_came, ..Evidence::of("words") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::{Happening, flatten};

    fn said(happening: &Happening) -> String {
        let (_, line) = flatten(happening);
        line.evidence.said(line.pages).expect("the model said why")
    }

    #[test]
    fn reasons_are_told_in_words() {
        let born = |why| said(&Happening::ClusterBorn { slot: 0, micro_cluster: 0, why });
        let died = |why| said(&Happening::ClusterDied { slot: 0, why });
        let moved = |why| said(&Happening::MicroMoved { micro_cluster: 0, from: 0, why });
        let cases = [
            (
                born(Birth::FreeSlot { likeness: 0.12, threshold: 0.314 }),
                "a slot was free, and nothing like its first page: likeness 0.12, not above 0.31",
            ),
            (
                born(Birth::Far { likeness: 0.2, threshold: 0.5, weight: 4.06 }),
                "4.1 pages far from every cluster: likeness 0.20, not above 0.50",
            ),
            (
                died(Death::Light { weight: 0.7, threshold: 2.0, n_pages: 612 }),
                "lighter than 2 pages for 612 pages, 0.7 at last",
            ),
            (
                moved(Move::Nearer { likeness: 0.501, before: 0.4809, threshold: 0.5009 }),
                "more like this cluster than like the one before: likeness 0.50, against 0.48",
            ),
            (moved(Move::Orphaned { likeness: None }), "its cluster died, and nothing else is like it"),
        ];
        cases.iter().for_each(|(said, wanted)| assert_eq!(said, wanted));
        assert_eq!(apart(0.31412, 0.31444), ("0.3141".into(), "0.3144".into()), "as many digits as tell them apart");
        assert_eq!(apart(0.0, 0.0), ("0.00".into(), "0.00".into()));
    }

    #[test]
    fn labels_differ_by_their_words() {
        let why = Relabel::between("rust, game, wasm", "game, rust, engine");
        assert_eq!((why.gone.join(" "), why.came.join(" "), why.alike), ("wasm".into(), "engine".into(), 0.5));
        let event = Happening::Relabelled { label: "game, rust, engine".into(), why };
        assert_eq!(said(&event), "gone: wasm; new: engine");
        let first = Relabel::between("", "(no words)");
        assert_eq!((first.gone.len(), first.came.len(), first.alike), (0, 1, 0.0));
    }
}
