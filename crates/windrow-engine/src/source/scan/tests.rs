use proptest::prelude::*;

use super::*;

/// Scans `bytes` given in pieces, dropping what is done after each when `forgetful`.
fn scan(bytes: &[u8], columns: usize, limit: usize, pieces: &[usize], forgetful: bool) -> Vec<Scanned> {
    let mut scanner = Scanner::new(Some(columns), limit);
    let (mut found, mut buffer, mut base, mut read) = (Vec::new(), Vec::new(), 0, 0);
    let mut pieces = pieces.iter().cycle();
    loop {
        while let Some(record) = scanner.next(&buffer, read == bytes.len()) {
            found.push(Scanned { start: base + record.start, end: base + record.end, ..record });
        }
        if read == bytes.len() {
            assert_eq!(base + scanner.done(), bytes.len());
            return found;
        }
        if forgetful {
            let done = scanner.done();
            buffer.drain(..done);
            base += done;
            scanner.forget(done);
        }
        let piece = (*pieces.next().unwrap()).clamp(1, bytes.len() - read);
        buffer.extend_from_slice(&bytes[read..read + piece]);
        read += piece;
    }
}

fn whole(bytes: &[u8], columns: usize, limit: usize) -> Vec<Scanned> {
    scan(bytes, columns, limit, &[usize::MAX], false)
}

/// Records as text, with `!` and the reason's code behind flawed ones.
fn shown(bytes: &str, columns: usize, limit: usize) -> Vec<String> {
    let text = |record: &Scanned| {
        let flaw = record.flaw.map_or_else(String::new, |reason| format!("!{}", reason.code()));
        format!("{}{flaw}", &bytes[record.start..record.end])
    };
    whole(bytes.as_bytes(), columns, limit).iter().map(text).collect()
}

#[test]
fn line_ends_of_all_kinds_end_records_and_blank_lines_are_none() {
    assert_eq!(shown("a,b\nc,d\r\ne,f\rg,h\r\r\n\n\ni,j", 2, 100), ["a,b", "c,d", "e,f", "g,h", "i,j"]);
    assert!(shown("\r\n\n", 2, 100).is_empty());
}

#[test]
fn quotes_open_at_the_start_of_a_field_only() {
    assert_eq!(shown("\"a\nb\",c\nd \"e,f\n", 2, 100), ["\"a\nb\",c", "d \"e,f"]);
    assert_eq!(shown("\"a\"\"\n\",\"\"\nd,e\n", 2, 100), ["\"a\"\"\n\",\"\"", "d,e"]);
}

#[test]
fn a_broken_quote_costs_one_line() {
    // Never closed.
    assert_eq!(shown("\"a,b\nc,d\ne,f\n", 2, 100), ["\"a,b!bad_quote", "c,d", "e,f"]);
    // Closed by a later record's opening quote.
    assert_eq!(shown("a,\"b\nc,\"d\"\ne,f\n", 2, 100), ["a,\"b!bad_quote", "c,\"d\"", "e,f"]);
    // Closed in such a way that the number of fields gives it away.
    assert_eq!(shown("a,\"b\nc\",d\ne,f\n", 2, 100), ["a,\"b!column_count", "c\",d", "e,f"]);
    assert_eq!(shown("\"b\nc\"\ne,f\n", 2, 100), ["\"b!column_count", "c\"", "e,f"]);
    // Never closed within the longest record.
    assert_eq!(shown("\"a,b\nc,d\ne,f\ng,h\n", 2, 8), ["\"a,b!bad_quote", "c,d", "e,f", "g,h"]);
    // Text after a closing quote, then a quote over lines.
    assert_eq!(shown("\"a\"x,\"b\nc\"\ne,f\n", 2, 100), ["\"a\"x,\"b!bad_quote", "c\"", "e,f"]);
}

#[test]
fn one_line_is_never_given_up() {
    assert_eq!(shown("\"a\"b,c\n\"x,y", 2, 100), ["\"a\"b,c", "\"x,y"]);
    assert_eq!(shown("a\nb,c,d\n", 2, 100), ["a", "b,c,d"]);
}

#[test]
fn a_line_beyond_the_limit_comes_in_pieces() {
    let pieces = ["abcd!too_long", "efgh!too_long", "i!too_long", "j,k"];
    assert_eq!(shown("abcdefghi\nj,k\n", 2, 4), pieces);
    assert_eq!(shown("abcd\nefgh", 1, 4), ["abcd", "efgh"]);
    assert_eq!(shown("\"bcdefgh\nj,k\n", 2, 4), ["\"bcd!too_long", "efgh!too_long", "j,k"]);
}

#[test]
fn starting_inside_a_line_goes_on_as_if_never_stopped() {
    let bytes = b"abcdefghi\nj,k\n";
    let mut scanner = Scanner::new(Some(2), 4).in_rest_of_line();
    let second = scanner.next(&bytes[4..], true).unwrap();
    assert_eq!((second.start, second.end, second.flaw), (0, 4, Some(RejectReason::TooLong)));
    let mut scanner = Scanner::new(Some(2), 4).in_rest_of_line();
    assert_eq!(scanner.next(&bytes[9..], true).unwrap().flaw, None);
}

#[test]
fn many_open_quotes_do_not_cost_the_square_of_the_input() {
    // Lines that each open a quote which no other line closes by itself; a million bytes would take minutes if it were square.
    let bytes = "a\",\"b\n".repeat(200_000);
    let records = whole(bytes.as_bytes(), 6, 1 << 20);
    assert_eq!(records.len(), 200_000);
}

/// Bytes that meet the scanner's rules often.
fn csv_like() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => Just(b'"'),
        4 => Just(b','),
        2 => Just(b'\n'),
        1 => Just(b'\r'),
        4 => Just(b'x'),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..200)
}

proptest! {
    #[test]
    fn every_byte_is_in_one_record_or_a_line_end(bytes in csv_like(), columns in 1_usize..5, limit in 1_usize..60) {
        let mut at = 0;
        for record in whole(&bytes, columns, limit) {
            prop_assert!(bytes[at..record.start].iter().all(|byte| is_line_end(*byte)));
            prop_assert!(record.start < record.end && record.end - record.start <= limit);
            at = record.end;
        }
        prop_assert!(bytes[at..].iter().all(|byte| is_line_end(*byte)));
    }

    #[test]
    fn pieces_of_any_size_give_the_same_records(
        bytes in csv_like(), columns in 1_usize..5, limit in 1_usize..60, pieces in prop::collection::vec(1_usize..20, 1..8),
        forgetful: bool,
    ) {
        prop_assert_eq!(scan(&bytes, columns, limit, &pieces, forgetful), whole(&bytes, columns, limit));
    }

    #[test]
    fn stopping_behind_any_record_changes_nothing(bytes in csv_like(), columns in 1_usize..5, limit in 1_usize..60) {
        let records = whole(&bytes, columns, limit);
        let mut scanner = Scanner::new(Some(columns), limit);
        for (index, _) in records.iter().enumerate() {
            let _ = scanner.next(&bytes, true);
            let at = scanner.done();
            let starts_line = at == 0 || is_line_end(bytes[at - 1]);
            let mut second = if starts_line { Scanner::new(Some(columns), limit) } else { Scanner::new(Some(columns), limit).in_rest_of_line() };
            let mut found = Vec::new();
            while let Some(record) = second.next(&bytes[at..], true) {
                found.push(Scanned { start: at + record.start, end: at + record.end, ..record });
            }
            prop_assert_eq!(&found, &records[index + 1..]);
        }
    }
}
