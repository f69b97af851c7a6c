//! The original's name of a page's site: what `tldextract` calls the domain of an address.
//!
//! It takes any text for an address, and finds a host in it by its own lenient rules; of the public suffixes only those of registries
//! count. `facebook` of `https://www.facebook.com/x`, `github` of `b.github.io`; the address of an IP host is its own, one of version 6
//! in brackets; a public suffix alone has none. Upper case stays as written.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What separates labels: the full stop, and three others that are read as one.
const DOTS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// The main domain of an address; empty when it has none.
pub fn main_domain(url: &str) -> Cow<'_, str> {
    let host = host(url);
    if host.starts_with('[') {
        return Cow::Borrowed(if is_ipv6(host) { host } else { label(host, n_suffix_labels(host)) });
    }
    match n_suffix_labels(host) {
        0 if is_ipv4(host) => with_plain_dots(host),
        n_suffix => Cow::Borrowed(label(host, n_suffix)),
    }
}

/// Everything between scheme, user, port and path, whatever it is.
fn host(url: &str) -> &str {
    let rest = without_scheme(url);
    let authority = rest.find(['/', '?', '#']).map_or(rest, |end| &rest[..end]);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some(end) = host.find(']').filter(|_| host.starts_with('[')) {
        return &host[..=end];
    }
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    // What Python strips: white space, and four control characters that Unicode does not call so.
    host.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\x1c'..='\x1f')).trim_end_matches(DOTS)
}

fn without_scheme(url: &str) -> &str {
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    match url.split_once("//") {
        Some(("", rest)) => rest,
        Some((before, rest)) if before.len() > 1 && before.strip_suffix(':').is_some_and(|s| s.chars().all(is_scheme)) => rest,
        _ => url,
    }
}

/// How many labels at the end of a host are a public suffix of a registry; 0 of one that nobody has registered.
fn n_suffix_labels(host: &str) -> usize {
    let plain = with_plain_dots(host);
    let lower = if plain.chars().any(char::is_uppercase) { Cow::Owned(plain.to_lowercase()) } else { plain };
    let mut rest: &str = &lower;
    loop {
        let Some(suffix) = psl::suffix(rest.as_bytes()) else { return 0 };
        let found = &rest[rest.len() - suffix.as_bytes().len()..];
        match suffix.typ() {
            Some(psl::Type::Icann) => return found.split('.').count(),
            // A company's suffix lies below one of a registry.
            Some(psl::Type::Private) => rest = found.split_once('.').map_or("", |(_, rest)| rest),
            None => return 0,
        }
    }
}

/// The label before so many others at the end; empty when there is none.
fn label(host: &str, n_after: usize) -> &str {
    host.rsplit(DOTS).nth(n_after).unwrap_or_default()
}

fn with_plain_dots(host: &str) -> Cow<'_, str> {
    if host.is_ascii() || !host.contains(&DOTS[1..]) {
        return Cow::Borrowed(host);
    }
    Cow::Owned(host.replace(&DOTS[1..], "."))
}

fn is_ipv4(host: &str) -> bool {
    host.starts_with(|c: char| c.is_ascii_digit()) && with_plain_dots(host).parse::<Ipv4Addr>().is_ok()
}

fn is_ipv6(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn main_domains_are_those_of_tldextract() {
        for (url, expected) in [
            ("https://www.facebook.com/x?y=z.co.uk", "facebook"),
            ("http://user:pass@News.BBC.co.uk:8080/1", "BBC"),
            ("b.github.io", "github"),
            ("https://github.io", "github"),
            ("http://my.blogspot.com#a", "blogspot"),
            ("http://x.s3.amazonaws.com", "amazonaws"),
            ("www.ck", "www"),
            ("a.b.kobe.jp", "a"),
            ("city.kobe.jp", "city"),
            ("http://co.uk/", ""),
            ("com", ""),
            ("localhost:80/x", "localhost"),
            ("http://site.local", "local"),
            ("http://192.168.0.1:80/a", "192.168.0.1"),
            ("http://192\u{3002}168.0.1", "192.168.0.1"),
            ("http://192.168.0.256", "256"),
            ("http://3232235521", "3232235521"),
            ("http://[2001:DB8::1]:80/", "[2001:DB8::1]"),
            ("http://example.com./", "example"),
            ("https://www\u{3002}münchen\u{ff0e}de", "münchen"),
            ("http://xn--mnchen-3ya.xn--p1ai/", "xn--mnchen-3ya"),
            ("http://пример.рф/", "пример"),
            ("not an address", "not an address"),
            ("//cdn.example.com/x", "example"),
            ("a b://example.com", "a b"),
            ("mailto:me@example.com", "example"),
            (" http://example.com", "http"),
            ("", ""),
            ("https://", ""),
        ] {
            assert_eq!(main_domain(url), expected, "{url}");
        }
    }
}
