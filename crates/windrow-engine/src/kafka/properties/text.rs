//! The form of Java's `.properties` files: `key = value`, `key: value` or `key value`; `#` and `!` begin comments; a line that ends in a
//! backslash goes on in the next one, and a backslash takes the meaning from the next character or gives it one.

use super::Entry;

/// All entries, in order. Every text has some reading.
pub(super) fn parse(content: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut lines = content.trim_start_matches('\u{feff}').lines().enumerate();
    while let Some((at, first)) = lines.next() {
        let first = first.trim_start_matches(is_blank);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = first.to_owned();
        while goes_on(&whole) {
            whole.pop();
            let Some((_, next)) = lines.next() else { break };
            whole.push_str(next.trim_start_matches(is_blank));
        }
        let (key, value) = split(&whole);
        entries.push(Entry { line: at + 1, key: plain(key), value: plain(value) });
    }
    entries
}

fn is_blank(c: char) -> bool {
    [' ', '\t', '\u{c}'].contains(&c)
}

/// Whether a line ends in a backslash that no other one takes the meaning from.
fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Splits at the first separator that has its meaning.
fn split(line: &str) -> (&str, &str) {
    let mut is_taken = false;
    let at = line.char_indices().find(|(_, c)| {
        let was_taken = is_taken;
        is_taken = *c == '\\' && !was_taken;
        !was_taken && (is_blank(*c) || ['=', ':'].contains(c))
    });
    let Some((at, _)) = at else { return (line, "") };
    let rest = line[at..].trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    // As Java's clients read it, a value keeps the blanks behind it; nobody means them.
    (&line[..at], rest.trim_start_matches(is_blank).trim_end_matches(is_blank))
}

/// Without backslashes.
fn plain(text: &str) -> String {
    let (mut plain, mut chars) = (String::with_capacity(text.len()), text.chars());
    while let Some(c) = chars.next() {
        match (c == '\\').then(|| chars.next()).flatten() {
            None => plain.push(c),
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\u{c}'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok();
                plain.push(code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => plain.push(other),
        }
    }
    plain
}
