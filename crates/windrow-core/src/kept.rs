//! KEEP: columns of the input that are carried along and never looked into, but for one thing: their numbers are added up for each cluster.
//!
//! Sums are exact, whatever the order: a number is taken as the decimal that is written, never as a binary fraction. Values that are no
//! number are counted; they are carried like all others.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cluster::ClusterId;
use crate::record::Pages;

/// Where one value lies: in the text of its record, or in memory where it was put together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeptSpan {
    /// Its first byte.
    pub start: u32,
    /// Behind its last byte.
    pub end: u32,
    /// Whether it was put together.
    pub is_made: bool,
}

/// The kept values of a row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kept<'a> {
    /// The text of the record.
    pub text: &'a [u8],
    /// Values that were put together.
    pub made: &'a [u8],
    /// Where each value lies.
    pub spans: &'a [KeptSpan],
}

impl<'a> Kept<'a> {
    /// The values, one for each kept column.
    pub fn values(self) -> impl ExactSizeIterator<Item = &'a [u8]> {
        self.spans.iter().map(move |span| {
            let from = if span.is_made { self.made } else { self.text };
            &from[span.start as usize..span.end as usize]
        })
    }
}

/// Decimals of a number, at most.
const DECIMALS: usize = 30;
/// Digits before its point, at most.
const DIGITS: i64 = 24;
/// Powers of ten, up to that of a whole one in parts.
const POWERS: [i128; DECIMALS + 1] = {
    let mut powers = [1; DECIMALS + 1];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};
const ONE: i128 = POWERS[DECIMALS];

/// A sum of decimal numbers, exact: `whole`, and parts of 10^-30, from 0 to less than one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sum {
    whole: i128,
    part: i128,
}

impl Sum {
    /// The number that a text is: digits with a point at most, a sign before and an exponent behind if it has them. None for any other
    /// text, and for numbers of more than 24 digits before the point or 30 behind it.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let (is_negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], i64::from(text[at + 1..].parse::<i32>().ok()?)),
            None => (text, 0),
        };
        let (digits, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if digits.is_empty() && decimals.is_empty() {
            return None;
        }
        let point = i64::try_from(digits.len()).ok()? + exponent;
        let mut sum = Self::default();
        for (digit, place) in digits.bytes().chain(decimals.bytes()).zip(-point..) {
            match digit {
                b'0' => {}
                b'1'..=b'9' => sum.add_digit(i128::from(digit - b'0'), place)?,
                _ => return None,
            }
        }
        Some(if is_negative { sum.negated() } else { sum })
    }

    /// Adds a digit that stands so many places behind the point.
    fn add_digit(&mut self, digit: i128, place: i64) -> Option<()> {
        if place < -DIGITS {
            return None;
        }
        if place < 0 {
            self.whole += digit * POWERS[usize::try_from(-1 - place).ok()?];
        } else {
            self.part += digit * POWERS[(DECIMALS - 1).checked_sub(usize::try_from(place).ok()?)?];
        }
        Some(())
    }

    fn negated(self) -> Self {
        if self.part == 0 {
            Self { whole: -self.whole, part: 0 }
        } else {
            Self { whole: -self.whole - 1, part: ONE - self.part }
        }
    }

    /// Both together; none beyond 38 digits.
    fn checked_add(self, other: Self) -> Option<Self> {
        let part = self.part + other.part;
        let (carry, part) = if part < ONE { (0, part) } else { (1, part - ONE) };
        Some(Self { whole: self.whole.checked_add(other.whole)?.checked_add(carry)?, part })
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, shown) = match self.cmp(&Self::default()) {
            Ordering::Less => ("-", self.negated()),
            _ => ("", *self),
        };
        let decimals = format!("{:030}", shown.part);
        match decimals.trim_end_matches('0') {
            "" => write!(f, "{sign}{}", shown.whole),
            decimals => write!(f, "{sign}{}.{decimals}", shown.whole),
        }
    }
}

/// What the values of one column come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Values that are numbers.
    pub numbers: u64,
    /// Values that are something else. The rest is empty.
    pub others: u64,
    /// The numbers together.
    pub sum: Sum,
}

impl Tally {
    fn count(&mut self, value: &str) {
        if value.trim_ascii().is_empty() {
            return;
        }
        match Sum::parse(value).and_then(|number| self.sum.checked_add(number)) {
            Some(sum) => (self.numbers, self.sum) = (self.numbers + 1, sum),
            None => self.others += 1,
        }
    }

    fn add(&mut self, other: &Self) {
        self.others += other.others;
        match self.sum.checked_add(other.sum) {
            Some(sum) => (self.numbers, self.sum) = (self.numbers + other.numbers, sum),
            None => self.others += other.numbers,
        }
    }
}

/// What a kept column comes to, with its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KeptTally {
    /// The column.
    pub name: String,
    /// What its values come to.
    pub tally: Tally,
}

/// The kept columns of a pipeline, and what they come to in each cluster: of the living ones, and of the dead that are remembered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptBook {
    names: Vec<String>,
    of: BTreeMap<ClusterId, Vec<Tally>>,
    /// Of clusters that nobody remembers one by one.
    forgotten: Vec<Tally>,
}

impl KeptBook {
    pub(crate) fn new(names: Vec<String>) -> Self {
        Self { forgotten: vec![Tally::default(); names.len()], names, of: BTreeMap::new() }
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Counts one page.
    pub(crate) fn count(&mut self, cluster: ClusterId, pages: &Pages, row: usize) {
        let tallies = self.of.entry(cluster).or_insert_with(|| vec![Tally::default(); self.names.len()]);
        tallies.iter_mut().zip(&pages.kept).for_each(|(tally, column)| tally.count(column.get(row)));
    }

    /// A cluster that is not remembered any more.
    pub(crate) fn forget(&mut self, cluster: ClusterId) {
        let Some(tallies) = self.of.remove(&cluster) else { return };
        self.forgotten.iter_mut().zip(&tallies).for_each(|(all, tally)| all.add(tally));
    }

    /// What the pages of a cluster come to.
    pub(crate) fn tallies(&self, cluster: ClusterId) -> Vec<KeptTally> {
        let of = self.of.get(&cluster);
        let named = self.names.iter().enumerate();
        named.map(|(at, name)| KeptTally { name: name.clone(), tally: of.map_or(Tally::default(), |of| of[at]) }).collect()
    }

    /// What the pages of all clusters there ever were come to.
    pub(crate) fn totals(&self) -> Vec<KeptTally> {
        let mut totals = self.forgotten.clone();
        for tallies in self.of.values() {
            totals.iter_mut().zip(tallies).for_each(|(all, tally)| all.add(tally));
        }
        self.names.iter().cloned().zip(totals).map(|(name, tally)| KeptTally { name, tally }).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Option<String> {
        Sum::parse(text).map(|sum| sum.to_string())
    }

    #[test]
    fn numbers_are_the_decimals_that_are_written() {
        for (text, number) in [
            ("0", "0"),
            ("-0.0", "0"),
            (" 12.50 ", "12.5"),
            ("+7", "7"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-0.25", "-0.25"),
            ("-3.75", "-3.75"),
            ("1e3", "1000"),
            ("12.5E-3", "0.0125"),
            ("0.1e+1", "1"),
            ("007", "7"),
            ("0e999", "0"),
            ("1.2345678901234567e-05", "0.000012345678901234567"),
            ("999999999999999999999999", "999999999999999999999999"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        let long = "1".repeat(25);
        for text in [
            "",
            ".",
            "-",
            "e5",
            "1e",
            "1,5",
            "1 000",
            "$3",
            "0x10",
            "NaN",
            "inf",
            "1.2.3",
            "٣",
            "1e-31",
            "1e99999999999",
            &long,
        ] {
            assert_eq!(Sum::parse(text), None, "{text}");
        }
    }

    #[test]
    fn values_are_numbers_others_or_nothing() {
        let mut tally = Tally::default();
        ["0.1", "0.2", "", " ", "n/a", "-1", "1e24"].iter().for_each(|value| tally.count(value));
        assert_eq!((tally.numbers, tally.others, tally.sum.to_string()), (3, 2, "-0.7".to_owned()));
    }

    #[test]
    fn a_sum_that_nothing_holds_counts_no_further() {
        let mut tally = Tally { sum: Sum { whole: i128::MAX, part: 0 }, ..Tally::default() };
        tally.count("1");
        assert_eq!((tally.numbers, tally.others, tally.sum.whole), (0, 1, i128::MAX));
    }

    proptest! {
        #[test]
        fn sums_are_exact_in_any_order(cents in proptest::collection::vec(-10_000_000_000i64..10_000_000_000, 0..50)) {
            let text = |n: i64| format!("{}{}.{:02}", if n < 0 { "-" } else { "" }, n.abs() / 100, n.abs() % 100);
            let tally = |values: &mut dyn Iterator<Item = &i64>| {
                let mut tally = Tally::default();
                values.for_each(|n| tally.count(&text(*n)));
                tally
            };
            let (forth, back) = (tally(&mut cents.iter()), tally(&mut cents.iter().rev()));
            prop_assert_eq!(forth, back);
            prop_assert_eq!(Some(forth.sum), Sum::parse(&text(cents.iter().sum())));
            let (mut left, right) = (tally(&mut cents.iter().take(20)), tally(&mut cents.iter().skip(20)));
            left.add(&right);
            prop_assert_eq!(left, forth);
        }

        #[test]
        fn any_text_is_a_number_or_not_and_is_shown_as_it_reads(text in "[-+0-9.eE ]{0,40}") {
            if let Some(sum) = Sum::parse(&text) {
                prop_assert_eq!(Sum::parse(&sum.to_string()), Some(sum));
            }
        }
    }
}
