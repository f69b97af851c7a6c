//! Encodings of files: from their bytes to UTF-8, and from places in that text back to bytes.
//!
//! Record ids are offsets of a file's own bytes, and rejects keep those bytes. So nothing that is handed out is decoded: cp1252
//! is scanned as it stands, since its delimiters, quotes and line ends are those of ASCII; UTF-16 is scanned as text, beside its
//! bytes ([`Transcript`]); and the parser decodes each record once more, in its own thread.
//!
//! What is no character becomes bytes that are no UTF-8, each of them a thing of its own, so that the length of the original can be
//! counted back from the text: half of a surrogate pair becomes three bytes, as if it were a character; a lone byte, or one that
//! cp1252 does not know, two bytes that begin with 0xFC or more. A record that holds any of these is a reject.

use serde::{Deserialize, Serialize};

use crate::settings::words;

/// The encoding of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// UTF-16, the low byte first.
    #[serde(rename = "utf-16le")]
    Utf16le,
    /// UTF-16, the high byte first.
    #[serde(rename = "utf-16be")]
    Utf16be,
    /// Windows' encoding of western Europe.
    #[serde(rename = "cp1252")]
    Cp1252,
}

words!(Encoding { Utf8 = "utf-8", Utf16le = "utf-16le", Utf16be = "utf-16be", Cp1252 = "cp1252" });

/// Characters of plain ASCII that a file must begin with to be known as UTF-16 without a mark.
const PLAIN_UNITS: usize = 4;

impl Encoding {
    /// UTF-16 by its byte order mark, or by the zero bytes of its first four characters; none for anything else.
    pub(super) fn utf16_of(head: &[u8]) -> Option<Self> {
        let zeros = |at: usize| {
            let units = head.get(..2 * PLAIN_UNITS).unwrap_or_default().chunks_exact(2);
            units.len() == PLAIN_UNITS && units.clone().all(|unit| unit[at] == 0 && matches!(unit[1 - at], 1..=0x7f))
        };
        match head {
            [0xff, 0xfe, ..] => Some(Self::Utf16le),
            [0xfe, 0xff, ..] => Some(Self::Utf16be),
            _ if zeros(1) => Some(Self::Utf16le),
            _ if zeros(0) => Some(Self::Utf16be),
            _ => None,
        }
    }

    /// Whether these bytes are likely cp1252: no UTF-8, no character of more than one byte that would be UTF-8, and nothing that
    /// cp1252 does not know or that no text holds.
    pub(super) fn is_likely_cp1252(bytes: &[u8]) -> bool {
        let bytes = without_cut(bytes);
        let is_text = |byte: u8| byte >= b' ' && byte != 0x7f && !is_unknown(byte) || matches!(byte, b'\t' | b'\n' | b'\r');
        let mut broken = false;
        for chunk in bytes.utf8_chunks() {
            if !chunk.valid().is_ascii() {
                return false;
            }
            broken |= !chunk.invalid().is_empty();
        }
        broken && bytes.iter().all(|byte| is_text(*byte))
    }

    /// Whether characters are wider than a byte, so that only the text can be scanned.
    pub(super) fn is_wide(self) -> bool {
        matches!(self, Self::Utf16le | Self::Utf16be)
    }

    /// Appends the text of `bytes`, whose first has this offset in the file.
    pub(crate) fn decode(self, bytes: &[u8], offset: u64, text: &mut Vec<u8>) {
        match self {
            Self::Utf8 => text.extend_from_slice(bytes),
            Self::Cp1252 => bytes.iter().for_each(|byte| push_cp1252(*byte, text)),
            Self::Utf16le | Self::Utf16be => {
                self.decode_wide(bytes, offset, true, text);
            }
        }
    }

    /// Appends the text of UTF-16; returns how many bytes that took. Unless that is the end, half a character waits for its rest.
    fn decode_wide(self, bytes: &[u8], offset: u64, ended: bool, text: &mut Vec<u8>) -> usize {
        let unit = |at: usize| {
            let pair = bytes.get(at..at + 2)?.try_into().ok()?;
            Some(if self == Self::Utf16le { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
        };
        let mut at = 0;
        // The other half of a character whose first half was handed out, when the file was no longer.
        if offset % 2 == 1
            && let Some(byte) = bytes.first()
        {
            push_lone(*byte, text);
            at = 1;
        }
        while let Some(first) = unit(at) {
            let mut code = u32::from(first);
            if (0xd800..0xdc00).contains(&first) {
                match unit(at + 2) {
                    None if !ended => return at,
                    Some(second @ 0xdc00..=0xdfff) => {
                        code = 0x1_0000 + ((code - 0xd800) << 10) + (u32::from(second) - 0xdc00);
                        at += 2;
                    }
                    _ => {}
                }
            }
            push(code, text);
            at += 2;
        }
        if let (true, Some(byte)) = (ended, bytes.get(at)) {
            push_lone(*byte, text);
            at += 1;
        }
        at
    }
}

/// UTF-8 without a last character that is not whole.
fn without_cut(bytes: &[u8]) -> &[u8] {
    let last = bytes.iter().rposition(|byte| !(0x80..0xc0).contains(byte)).unwrap_or(0);
    let wanted = match bytes.get(last) {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => 0,
    };
    if bytes.len() - last < wanted { &bytes[..last] } else { bytes }
}

/// Appends a code point, be it half of a surrogate pair.
fn push(code: u32, text: &mut Vec<u8>) {
    match (u8::try_from(code), char::from_u32(code)) {
        (Ok(byte @ 0..=0x7f), _) => text.push(byte),
        (_, Some(char)) => text.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        (_, None) => text.extend([0xe0 | code >> 12, 0x80 | code >> 6 & 0x3f, 0x80 | code & 0x3f].map(low_byte)),
    }
}

fn low_byte(code: u32) -> u8 {
    code.to_le_bytes()[0]
}

/// Appends a byte that is no character.
fn push_lone(byte: u8, text: &mut Vec<u8>) {
    text.extend_from_slice(&[0xfc | byte >> 6, 0x80 | byte & 0x3f]);
}

/// Bytes of UTF-16 that became this text.
pub(super) fn wide_len(text: &[u8]) -> usize {
    let len = |byte: u8| match byte {
        0x80..=0xbf => 0, // inside a character
        0xf0..=0xf7 => 4,
        0xfc.. => 1,
        _ => 2,
    };
    text.iter().map(|byte| len(*byte)).sum()
}

/// What cp1252 has where Latin-1 has control characters; zero for nothing.
const CP1252: [u16; 32] = [
    0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0, //
    0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
];

/// Whether cp1252 does not know this byte.
fn is_unknown(byte: u8) -> bool {
    matches!(byte, 0x80..=0x9f) && CP1252[usize::from(byte - 0x80)] == 0
}

fn push_cp1252(byte: u8, text: &mut Vec<u8>) {
    match byte {
        0..=0x7f => text.push(byte),
        0x80..=0x9f if is_unknown(byte) => push_lone(byte, text),
        0x80..=0x9f => push(u32::from(CP1252[usize::from(byte - 0x80)]), text),
        _ => push(u32::from(byte), text),
    }
}

/// UTF-16 as text beside its bytes, for the scanner. Both are buffers that grow at their end and lose what is done at their head.
#[derive(Debug)]
pub(super) struct Transcript {
    encoding: Encoding,
    /// The text.
    pub(super) text: Vec<u8>,
    /// Bytes that are text by now.
    taken: usize,
    /// A place in the text, and the same in the bytes.
    place: (usize, usize),
}

impl Transcript {
    /// A transcript where one is needed.
    pub(super) fn of(encoding: Encoding) -> Option<Self> {
        encoding.is_wide().then(|| Self { encoding, text: Vec::new(), taken: 0, place: (0, 0) })
    }

    /// Goes on with what has come since; `base` is the offset of the first of these bytes in the file.
    pub(super) fn read_on(&mut self, bytes: &[u8], base: u64, ended: bool) {
        let offset = base + self.taken as u64;
        self.taken += self.encoding.decode_wide(&bytes[self.taken..], offset, ended, &mut self.text);
    }

    /// Where a place of the text, which is never before the last one asked for, lies in the bytes.
    pub(super) fn original(&mut self, at: usize) -> usize {
        let (text, bytes) = self.place;
        self.place = (at, bytes + wide_len(&self.text[text..at]));
        self.place.1
    }

    /// Drops the head of the text, and as much of the bytes.
    pub(super) fn forget(&mut self, text: usize, bytes: usize) {
        self.text.drain(..text);
        self.taken -= bytes;
        self.place = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(encoding: Encoding, bytes: &[u8], offset: u64) -> Vec<u8> {
        let mut text = Vec::new();
        encoding.decode(bytes, offset, &mut text);
        text
    }

    #[test]
    fn every_byte_of_cp1252_is_what_it_is_said_to_be() {
        let high = "€\u{fffd}‚ƒ„…†‡ˆ‰Š‹Œ\u{fffd}Ž\u{fffd}\u{fffd}‘’“”•–—˜™š›œ\u{fffd}žŸ";
        for (byte, char) in (0x80..=0x9f).zip(high.chars()) {
            let found = text(Encoding::Cp1252, &[byte], 0);
            let known = std::str::from_utf8(&found).ok();
            assert_eq!(known, (char != '\u{fffd}').then_some(char.to_string().as_str()), "{byte:x}");
        }
        for byte in (0..0x80).chain(0xa0..=0xff) {
            assert_eq!(text(Encoding::Cp1252, &[byte], 0), char::from(byte).to_string().as_bytes());
        }
    }

    #[test]
    fn utf16_is_known_by_its_mark_or_by_its_zeros() {
        let le = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let be = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        assert_eq!(Encoding::utf16_of(&le("\u{feff}地")), Some(Encoding::Utf16le));
        assert_eq!(Encoding::utf16_of(&be("\u{feff}地")), Some(Encoding::Utf16be));
        assert_eq!(Encoding::utf16_of(&le("url\n")), Some(Encoding::Utf16le));
        assert_eq!(Encoding::utf16_of(&be("{\"url\": 1}")), Some(Encoding::Utf16be));
        for other in [&b"url,title\n"[..], b"", b"u\0r", "адрес,заголовок".as_bytes(), &[0; 20], b"u\0r\0l\0\0\0"]
        {
            assert_eq!(Encoding::utf16_of(other), None, "{other:?}");
        }
    }

    #[test]
    fn cp1252_is_likely_where_nothing_speaks_for_another() {
        assert!(Encoding::is_likely_cp1252(b"caf\xe9;\x93so\x94\r\n"));
        for other in [&b"cafe"[..], "café".as_bytes(), "éè".as_bytes(), b"caf\xe9 \xc3\xa9", b"caf\xe9\x81", b"\xe9\0"] {
            assert!(!Encoding::is_likely_cp1252(other), "{other:?}");
        }
        for cut in 0..=4 {
            assert!(!Encoding::is_likely_cp1252(&"a𝄞".as_bytes()[..1 + cut]), "{cut}");
        }
    }

    #[test]
    fn half_a_character_is_no_text_and_has_its_length() {
        let lone = [b'a', 0, 0x3d, 0xd8, b'b', 0, 0x00, 0xdc, 7];
        let found = text(Encoding::Utf16le, &lone, 2);
        assert!(std::str::from_utf8(&found).is_err());
        assert_eq!(wide_len(&found), lone.len());
        assert_eq!(text(Encoding::Utf16le, &[0, b'a', 0], 3)[2..], *b"a");
    }

    proptest! {
        #[test]
        fn any_bytes_cut_anywhere_give_one_text_and_their_places_back(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xd8), Just(0xdc), Just(0)], 0..60),
            cut in 0usize..60,
            odd in 0u64..2,
        ) {
            let whole = text(Encoding::Utf16be, &bytes, odd);
            prop_assert_eq!(wide_len(&whole), bytes.len());
            let mut transcript = Transcript::of(Encoding::Utf16be).unwrap();
            transcript.read_on(&bytes[..cut.min(bytes.len())], odd, false);
            transcript.read_on(&bytes, odd, true);
            prop_assert_eq!(&transcript.text, &whole);
            prop_assert_eq!(transcript.original(whole.len()), bytes.len());
        }
    }
}
