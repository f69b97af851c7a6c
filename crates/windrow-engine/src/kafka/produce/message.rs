//! What a row looks like as a message: a JSON object of our six columns.
//!
//! The original's producer is Python: `json.dumps` of a row of pandas. Ids are numbers there, and what is empty is a bare `NaN`, which is no
//! JSON and which Python reads all the same.

use windrow_core::record::{COLUMNS, RejectReason, Row};

use crate::sink::topics::ValueShape;

/// The column that pandas takes for numbers.
const ID: &str = "id";
/// Digits that surely fit 64 bits.
const MOST_DIGITS: usize = 18;

/// Appends the message of a row to `text`.
///
/// # Errors
/// [`RejectReason::InvalidUtf8`]: the row can be no message; `text` holds a part of it.
pub(super) fn write(row: &Row<'_>, shape: ValueShape, text: &mut Vec<u8>) -> Result<(), RejectReason> {
    let nothing = match shape {
        ValueShape::Full => "null",
        ValueShape::Original => "NaN",
    };
    for (at, (name, bytes)) in COLUMNS.iter().zip(row.columns).enumerate() {
        let value = std::str::from_utf8(bytes).map_err(|_| RejectReason::InvalidUtf8)?;
        text.extend_from_slice(if at == 0 { b"{\"" } else { b",\"" });
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"\":");
        if value.is_empty() {
            text.extend_from_slice(nothing.as_bytes());
        } else if shape == ValueShape::Original && *name == ID && is_whole(value) {
            text.extend_from_slice(value.as_bytes());
        } else {
            serde_json::to_writer(&mut *text, value).expect("texts in memory always serialize");
        }
    }
    text.push(b'}');
    Ok(())
}

/// Whether a text is a whole number that is written the same way when it was read as one.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = (1..=MOST_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number && (text == "0" || !digits.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use windrow_core::kept::Kept;

    use super::*;
    use windrow_core::record::RecordId;

    fn written(id: &[u8], shape: ValueShape) -> Result<String, RejectReason> {
        let columns = [b"2023-01-01", id, b"http://a.example/", b"a \"b\"", b"", "é".as_bytes()];
        let row = Row { origin: RecordId { source: 0, offset: 0 }, raw: b"", columns, kept: Kept::default() };
        let mut text = Vec::new();
        write(&row, shape, &mut text).map(|()| String::from_utf8(text).unwrap())
    }

    #[test]
    fn plain_json_and_what_python_writes() {
        let rest = r#""url":"http://a.example/","title":"a \"b\"","keywords":"#;
        let plain = format!(r#"{{"creation_time":"2023-01-01","id":"7",{rest}null,"description":"é"}}"#);
        assert_eq!(written(b"7", ValueShape::Full).unwrap(), plain);
        let original = format!(r#"{{"creation_time":"2023-01-01","id":7,{rest}NaN,"description":"é"}}"#);
        assert_eq!(written(b"7", ValueShape::Original).unwrap(), original);
        assert_eq!(written(b"\xff", ValueShape::Full), Err(RejectReason::InvalidUtf8));
    }

    #[test]
    fn an_id_is_a_number_only_where_its_text_stays_the_same() {
        let numbers = ["0", "7", "-12", "123456789012345678"];
        assert!(numbers.iter().all(|text| is_whole(text)));
        let texts = ["", "-", "-0", "007", "+7", "7.0", "1e3", "a7", "1234567890123456789", "\u{663}"];
        assert_eq!(texts.iter().find(|text| is_whole(text)), None);
    }
}
