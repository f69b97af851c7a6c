//! The address of a page, taken apart: host, registrable domain, path, query; log-in redirects unwrapped.
//!
//! The crate `url` knows what an address is, at about a microsecond each. Nearly all addresses are plain: `http` or `https`, a host of
//! ASCII letters, digits, dots and hyphens, perhaps a port. Those are read by hand here, and a property test holds both to the same
//! host. Addresses are never made an error: what has no host has no domain and gives no terms.

mod main_domain;
mod path;
mod redirect;
mod segments;

use url::Url;

pub use main_domain::main_domain;
pub(super) use path::PathTerms;
use path::{MAX_BYTES, MAX_SEGMENTS};
pub(super) use redirect::{is_wall, landing};
pub(super) use segments::site;
pub(crate) use segments::{Shown, Urls};

/// Takes addresses apart. Holds scratch memory only.
#[derive(Debug, Default)]
pub(super) struct UrlParser {
    host: String,
    tail: String,
}

/// A page's host with what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address<'a> {
    /// Host in lower case, without port and user; an IP address in its usual form, without brackets.
    pub(super) host: &'a str,
    /// Whether the host is an IP address.
    pub(super) is_ip: bool,
    /// The path as written.
    pub(super) path: &'a str,
    /// What stands behind the `?`.
    pub(super) query: &'a str,
    /// What stands behind the `#`.
    pub(super) fragment: &'a str,
}

impl<'a> Address<'a> {
    /// A host with what follows it.
    fn new(host: &'a str, is_ip: bool, tail: &'a str) -> Self {
        let (rest, fragment) = cut(tail, b'#');
        let (path, query) = cut(rest, b'?');
        Self { host, is_ip, path, query, fragment }
    }

    /// Segments of the path, and of pages that are programs of the path behind the #.
    fn segments(&self) -> impl Iterator<Item = &'a str> {
        let Self { path, fragment, .. } = *self;
        let route = if fragment.starts_with('/') || fragment.starts_with("!/") { fragment } else { "" };
        let parts = [path, route].map(|part| &part[..part.floor_char_boundary(MAX_BYTES)]);
        parts.into_iter().flat_map(|part| part.split('/')).filter(|segment| !segment.is_empty() && *segment != "!")
    }

    /// Registrable domain by the public suffix list; the host itself when it is an IP address or a public suffix.
    pub(super) fn domain(&self) -> &'a str {
        if self.is_ip { self.host } else { psl::domain_str(self.host).unwrap_or(self.host) }
    }
}

impl UrlParser {
    /// The address that `text` says, `None` when it has no host.
    pub(super) fn parse<'a>(&'a mut self, text: &'a str) -> Option<Address<'a>> {
        match split_plain(text) {
            Some((host, tail)) => {
                self.host.clear();
                self.host.push_str(host);
                self.host.make_ascii_lowercase();
                Some(Address::new(&self.host, false, tail))
            }
            None => self.parse_any(text),
        }
    }

    fn parse_any<'a>(&'a mut self, text: &str) -> Option<Address<'a>> {
        let url = parse_url(text)?;
        self.host.clear();
        let is_ip = match url.host()? {
            url::Host::Domain(name) => {
                self.host.push_str(name.trim_end_matches('.'));
                self.host.make_ascii_lowercase();
                false
            }
            url::Host::Ipv4(address) => {
                self.host.push_str(&address.to_string());
                true
            }
            url::Host::Ipv6(address) => {
                self.host.push_str(&address.to_string());
                true
            }
        };
        self.tail.clear();
        self.tail.push_str(&url[url::Position::BeforePath..]);
        (!self.host.is_empty()).then(|| Address::new(&self.host, is_ip, &self.tail))
    }
}

/// What stands before an ASCII byte, and what behind it. Every page asks twice: `split_once` is slower.
fn cut(text: &str, byte: u8) -> (&str, &str) {
    memchr::memchr(byte, text.as_bytes()).map_or((text, ""), |at| (&text[..at], &text[at + 1..]))
}

/// Appends `text` with its percent escapes undone to `out`; what is not UTF-8 then becomes U+FFFD.
fn percent_decode(text: &str, out: &mut String) {
    let bytes = text.as_bytes();
    if memchr::memchr(b'%', bytes).is_none() {
        out.push_str(text);
        return;
    }
    let digit = |at: usize| bytes.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    out.push_str(&String::from_utf8_lossy(&decoded));
}

/// Parses `text`; what has no scheme is read as if it were `http`.
fn parse_url(text: &str) -> Option<Url> {
    let text = text.trim();
    match Url::parse(text) {
        Ok(url) if url.has_host() => Some(url),
        // `localhost:8080/x` and `example.com:80` look like a scheme.
        Ok(_) => {
            let (scheme, rest) = text.split_once(':')?;
            (scheme.contains('.') || rest.starts_with(|c: char| c.is_ascii_digit()))
                .then(|| Url::parse(&format!("http://{text}")).ok())
                .flatten()
        }
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            let bare = text.trim_start_matches(['/', '\\']);
            Url::parse(&format!("http://{bare}")).ok()
        }
        Err(_) => None,
    }
}

/// Host and tail of a plain address; `None` leaves it to the crate `url`.
fn split_plain(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let bytes = rest.as_bytes();
    let host_len = bytes
        .iter()
        .position(|byte| !matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.'))
        .unwrap_or(bytes.len());
    let host = &rest[..host_len];
    let mut end = host_len;
    if bytes.get(end) == Some(&b':') {
        end += 1 + bytes[end + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if end - host_len > 5 {
            return None;
        }
    }
    if !matches!(bytes.get(end), None | Some(b'/' | b'?' | b'#')) || !is_plain_host(host.as_bytes()) {
        return None;
    }
    Some((host, &rest[end..]))
}

/// Whether a host needs neither Punycode nor the reading of IP addresses: every label begins with a letter or digit and holds no
/// `--` (as `xn--` does), and the last begins with a letter.
fn is_plain_host(host: &[u8]) -> bool {
    let mut before = b'.';
    let mut last_label = 0;
    for (at, &byte) in host.iter().enumerate() {
        match (before, byte) {
            (b'.', b'.' | b'-') | (b'-', b'-') => return false,
            _ => {}
        }
        if byte == b'.' {
            last_label = at + 1;
        }
        before = byte;
    }
    host.get(last_label).is_some_and(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host_and_domain(text: &str) -> Option<(String, String)> {
        UrlParser::default().parse(text).map(|address| (address.host.to_owned(), address.domain().to_owned()))
    }

    fn domain(text: &str) -> String {
        host_and_domain(text).map(|(_, domain)| domain).unwrap_or_default()
    }

    #[test]
    fn registrable_domains() {
        for (url, expected) in [
            ("https://www.Oakley.com:443/en-us/product", "oakley.com"),
            ("https://news.bbc.co.uk/1/hi", "bbc.co.uk"),
            ("https://b.github.io/x", "b.github.io"),
            ("https://github.io", "github.io"),
            ("http://co.uk/", "co.uk"),
            ("http://user:pass@www.example.com/", "example.com"),
            ("http://localhost/", "localhost"),
            ("example.com/path", "example.com"),
            ("//cdn.example.com/x", "example.com"),
            ("example.com:80/x", "example.com"),
            ("http://example.com./", "example.com"),
            ("https://münchen.example.de/", "example.de"),
            ("irc://irc.Freenode.net/rust", "freenode.net"),
            ("hhttps://a.example.org", "example.org"),
            ("https:\\\\www.example.org\\a", "example.org"),
            ("mailto:me@example.com", ""),
            ("javascript:void(0)", ""),
            ("https://", ""),
            ("", ""),
            ("not an address", ""),
        ] {
            assert_eq!(domain(url), expected, "{url}");
        }
    }

    #[test]
    fn ip_hosts_are_their_own_domain() {
        for url in ["http://192.168.0.1/a", "http://3232235521", "http://0xc0.0xa8.1:8080/", "http://192.168.0.1./"] {
            assert_eq!(domain(url), "192.168.0.1", "{url}");
        }
        assert_eq!(domain("http://[2001:DB8::1]:80/"), "2001:db8::1");
    }

    #[test]
    fn what_follows_the_host_is_kept() {
        let parts = |text: &str| {
            let mut parser = UrlParser::default();
            let Address { path, query, fragment, .. } = parser.parse(text).expect("a host");
            [path, query, fragment].map(str::to_owned)
        };
        for host in ["a.example:80", "[2001:db8::1]"] {
            assert_eq!(parts(&format!("http://{host}/b?c?d#e#f?g")), ["/b", "c?d", "e#f?g"]);
            assert_eq!(parts(&format!("http://{host}/b#c?d")), ["/b", "", "c?d"]);
        }
    }

    proptest! {
        #[test]
        fn plain_addresses_have_the_host_that_the_crate_url_says(
            text in "https?://[a-zA-Z0-9.-]{0,12}(\\.|-|--|xn--|@|%41|_)?[a-zA-Z0-9.]{0,8}(:[0-9]{0,6})?([/?#\\\\][ -~]{0,8})?"
        ) {
            let Some((host, _)) = split_plain(&text) else { return Ok(()) };
            let url = Url::parse(&text);
            let host = host.to_ascii_lowercase();
            prop_assert_eq!(url.as_ref().ok().and_then(Url::host_str), Some(host.as_str()));
        }

        #[test]
        fn any_text_has_a_host_or_not(text in any::<String>()) {
            let _ = host_and_domain(&text);
            let _ = host_and_domain(&format!("http://{text}"));
        }
    }
}
