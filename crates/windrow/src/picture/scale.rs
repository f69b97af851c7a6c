//! Round numbers and round times for axes.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use windrow_engine::history::Seconds;

/// Steps between ticks below a month, in seconds.
const STEPS: [Seconds; 17] =
    [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 172_800, 604_800];
/// And above, in months.
const MONTHS: [i32; 9] = [1, 2, 3, 6, 12, 24, 60, 120, 240];
const MONTH: Seconds = 2_629_746;

/// Round numbers from 0 to at least `most`, about `n` of them.
pub(super) fn numbers(most: u64, n: u64) -> Vec<u64> {
    let rough = most.div_ceil(n.max(1)).max(1);
    let power = 10u64.pow(rough.ilog10());
    let step = [1, 2, 5, 10].map(|digit| digit * power).into_iter().find(|step| *step >= rough).unwrap_or(rough);
    (0..=most.div_ceil(step).max(1)).map(|tick| tick * step).collect()
}

/// A number in few characters.
pub(super) fn short(number: u64) -> String {
    let of = |unit: u64, name: &str| {
        let tenths = number * 10 / unit;
        if tenths >= 100 || tenths.is_multiple_of(10) {
            format!("{}{name}", tenths / 10)
        } else {
            format!("{}.{}{name}", tenths / 10, tenths % 10)
        }
    };
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => of(1_000, "k"),
        1_000_000..1_000_000_000 => of(1_000_000, "M"),
        _ => of(1_000_000_000, "G"),
    }
}

/// Round times within a span, at most about `most` of them, with what to write at each.
pub(super) fn times(from: Seconds, to: Seconds, most: usize) -> Vec<(Seconds, String)> {
    let most = Seconds::try_from(most.max(1)).unwrap_or(Seconds::MAX);
    let span = to - from;
    if let Some(step) = STEPS.into_iter().find(|step| span / step <= most) {
        let first = (from + step - 1).div_euclid(step) * step;
        let form = if step < 60 {
            "%H:%M:%S"
        } else if step < 86_400 {
            "%H:%M"
        } else {
            "%-d %b %Y"
        };
        return (0..).map(|i| first + i * step).take_while(|time| *time < to).map(|time| (time, written(time, form))).collect();
    }
    let mut ages = MONTHS.into_iter().chain((1..12).map(|power| 240 << power));
    let months = ages.find(|months| span / (MONTH * Seconds::from(*months)) <= most).unwrap_or(i32::MAX);
    round_months(from, to, months)
}

fn round_months(from: Seconds, to: Seconds, months: i32) -> Vec<(Seconds, String)> {
    let form = if months < 12 { "%b %Y" } else { "%Y" };
    let Some(begin) = civil(from) else { return Vec::new() };
    let year = if months < 12 { begin.year() } else { begin.year() - begin.year() % i16::try_from(months / 12).unwrap_or(1) };
    let Ok(first) = DateTime::new(year, 1, 1, 0, 0, 0, 0) else { return Vec::new() };
    let at = |i: i32| TimeZone::UTC.to_timestamp(first.checked_add(Span::new().months(i * months)).ok()?).ok();
    let all = (0..).map_while(at).map(Timestamp::as_second).take_while(|time| *time < to);
    all.filter(|time| *time >= from).map(|time| (time, written(time, form))).collect()
}

fn civil(time: Seconds) -> Option<DateTime> {
    Timestamp::from_second(time).ok().map(|time| TimeZone::UTC.to_datetime(time))
}

fn written(time: Seconds, form: &str) -> String {
    civil(time).map(|time| time.strftime(form).to_string()).unwrap_or_default()
}

/// A moment, to the minute, or to the day where it is midnight.
pub(super) fn moment(time: Seconds) -> String {
    written(time, if time.rem_euclid(86_400) == 0 { "%Y-%m-%d" } else { "%Y-%m-%d %H:%M" })
}

/// How long, in words: `5 minutes`, `1 week`.
pub(super) fn span(seconds: Seconds) -> String {
    let units = [(604_800, "week"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds % unit == 0).unwrap_or((1, "second"));
    match seconds / unit {
        1 => format!("1 {name}"),
        n => format!("{n} {name}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_round_and_reach_the_most() {
        assert_eq!(numbers(0, 5), [0, 1]);
        assert_eq!(numbers(3, 5), [0, 1, 2, 3]);
        assert_eq!(numbers(9_432, 5), [0, 2_000, 4_000, 6_000, 8_000, 10_000]);
        for most in [1, 7, 99, 1_001, 123_456_789, u64::MAX / 20] {
            let ticks = numbers(most, 5);
            assert!(ticks.len() <= 7 && ticks.last().is_some_and(|last| *last >= most), "{most}: {ticks:?}");
        }
        assert_eq!([0, 999, 1_000, 1_250, 23_456, 2_000_000].map(short), ["0", "999", "1k", "1.2k", "23k", "2M"]);
    }

    #[test]
    fn times_are_round() {
        let years = times(1_340_000_000, 1_700_000_000, 12);
        assert_eq!(years.first(), Some(&(1_356_998_400, "2013".to_owned())));
        assert_eq!(years.len(), 11);
        let of = |from: Seconds, to, most| times(from, to, most).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(of(1_684_354_911, 1_684_355_211, 6), ["20:22", "20:23", "20:24", "20:25", "20:26"]);
        assert_eq!(of(0, 86_400 * 70, 8), ["Jan 1970", "Feb 1970", "Mar 1970"]);
        assert_eq!(of(-86_400, 86_400 * 2, 5), ["31 Dec 1969", "1 Jan 1970", "2 Jan 1970"]);
        for span in [1, 59, 4_000, 100_000, 5_000_000, 900_000_000, 90_000_000_000] {
            assert!(times(1_000_000_007, 1_000_000_007 + span, 9).len() <= 10, "{span}");
        }
        assert_eq!(
            [1, 300, 604_800, 1_209_600, 86_401].map(span),
            ["1 second", "5 minutes", "1 week", "2 weeks", "86401 seconds"]
        );
    }
}
