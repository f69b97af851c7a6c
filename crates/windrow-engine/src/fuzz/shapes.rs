//! The shape of a file, found from its first bytes.

use crate::source::columns::ColumnMap;
use crate::source::written::{Asked, AskedDelimiter, AskedEncoding, AskedFormat, Look, start};
use crate::source::{Written, propose};

pub(super) const SEEDS: &[&[u8]] = &[
    b"\xef\xbb\xbfcreation_time;id;url;title\n;1;u;t\n",
    b"\xff\xfeu\0r\0l\0,\0t\0i\0t\0l\0e\0\n\0u\0,\0t\0\n\0",
    b"{\"url\": \"u\", \"title\": \"t\", \"when\": \"2023-05-17\"}\n{\"url\": 1}\n",
    b"landing page\theading\tcaf\xe9\n\"u\nu\"\tt\t\n",
    b"[{\"title\": \"t\"}]",
];

/// The longest record, and so the longest header.
const LIMIT: usize = 200;

/// The shape is found, needs more bytes, or is refused; what was found is found again when it is asked for, and in a longer head.
pub(super) fn shapes(bytes: &[u8]) {
    let columns = ColumnMap::default();
    for asked in ASKED {
        let look = Look { name: "pages", known: None, asked, columns: &columns, limit: LIMIT };
        let Ok(Some((written, form))) = look.form(bytes, true) else { continue };
        let again = Look { known: Some(written), ..look };
        assert_eq!(again.form(bytes, true), Ok(Some((written, form.clone()))), "what is known is found to be another");
        assert_eq!(Asked::exactly(written).others(written), [], "what is said exactly is not what was found");
        let (_, text) = look.text(bytes);
        let first = start(&form, &text, true, LIMIT);
        assert!(first.is_none_or(|first| first <= text.len()), "the first record begins behind the end");
        if let Written::Csv { .. } = written {
            let longer = [bytes, b"\n,,,\n"].concat();
            assert!(!matches!(look.form(&longer, false), Ok(Some((other, _))) if other.encoding() != written.encoding()));
        }
    }
    let messages: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let proposal = propose::propose(&messages);
    let _ = (proposal.columns(), (0..6).map(|column| proposal.nearest(column).map(str::len)).max());
}

const ASKED: [Asked; 4] = [
    Asked { format: AskedFormat::Auto, delimiter: AskedDelimiter::Auto, encoding: AskedEncoding::Auto },
    Asked { format: AskedFormat::Csv, delimiter: AskedDelimiter::Bar, encoding: AskedEncoding::Cp1252 },
    Asked { format: AskedFormat::Csv, delimiter: AskedDelimiter::Auto, encoding: AskedEncoding::Utf16 },
    Asked { format: AskedFormat::Jsonl, delimiter: AskedDelimiter::Auto, encoding: AskedEncoding::Utf16be },
];
