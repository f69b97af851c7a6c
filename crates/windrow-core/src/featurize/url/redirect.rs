//! Where an address leads in the end: log-in pages, consent walls and click counters name the page they guard in a parameter.
//!
//! `facebook.com/login/?next=https%3A%2F%2Fwww.facebook.com%2FHelloVacay` is a page about HelloVacay, as far as words go.

use super::{Address, UrlParser, percent_decode};

/// Redirects that are followed, one inside the other.
const MAX_DEPTH: usize = 2;
/// Bytes of a query that are looked at.
const MAX_QUERY_BYTES: usize = 8 << 10;

/// Path words of pages whose parameters name another page, whatever the parameter is called.
const GUARDS: &[&str] = &[
    "accounts",
    "auth",
    "away",
    "away.php",
    "cas",
    "click",
    "consent",
    "exit",
    "gate",
    "go",
    "goto",
    "l.php",
    "leave",
    "link",
    "linkfilter",
    "log-in",
    "login",
    "login.php",
    "logon",
    "oauth",
    "oauth2",
    "out",
    "outgoing",
    "privacy-gate",
    "redir",
    "redirect",
    "redirector",
    "servicelogin",
    "sign-in",
    "signin",
    "sso",
    "tr",
    "track",
    "url",
];

/// Those of them that show a page of their own, with texts of its own, in place of the page behind it.
const WALLS: &[&str] = &[
    "consent",
    "gate",
    "log-in",
    "login",
    "login.php",
    "logon",
    "oauth",
    "oauth2",
    "privacy-gate",
    "servicelogin",
    "sign-in",
    "signin",
    "sso",
];

/// Parameters that name another page wherever they stand. A referrer or a picture is none.
const POINTERS: &[&str] = &[
    "backurl",
    "callback",
    "callbackurl",
    "continue",
    "dest",
    "desturl",
    "destination",
    "forward",
    "goto",
    "next",
    "u",
    "uri",
    "url",
];

/// Beginnings of such parameters: `redirect_uri`, `returnUrl`, `return_to`.
const POINTER_BEGINNINGS: [&str; 3] = ["redir", "return", "target_u"];

/// The address that `address` leads to, when it is a redirect: an absolute URL that has a host.
pub(in crate::featurize) fn landing(address: &Address<'_>) -> Option<String> {
    let mut landing = step(address)?;
    for _ in 1..MAX_DEPTH {
        let mut parser = UrlParser::default();
        let Some(next) = parser.parse(&landing).as_ref().and_then(step) else { break };
        landing = next;
    }
    Some(landing)
}

/// Whether the page at `address` is a log-in or consent page.
pub(in crate::featurize) fn is_wall(address: &Address<'_>) -> bool {
    let Address { path, query, .. } = *address;
    !query.is_empty() && path.split('/').any(|segment| is_one_of(WALLS, segment))
}

fn step(address: &Address<'_>) -> Option<String> {
    let Address { path, query, .. } = *address;
    if query.is_empty() {
        return None;
    }
    let guarded = path.split('/').any(|segment| is_one_of(GUARDS, segment));
    let query = &query[..query.floor_char_boundary(MAX_QUERY_BYTES)];
    let mut value = String::new();
    for (key, encoded) in query.split(['&', ';']).filter_map(|parameter| parameter.split_once('=')) {
        let pointer = is_one_of(POINTERS, key) || POINTER_BEGINNINGS.iter().any(|beginning| starts_with(key, beginning));
        if !(guarded || pointer) {
            continue;
        }
        value.clear();
        percent_decode(encoded, &mut value);
        if starts_with(&value, "http%3a") || starts_with(&value, "https%3a") {
            let twice = std::mem::take(&mut value);
            percent_decode(&twice, &mut value);
        }
        if starts_with(&value, "http://") || starts_with(&value, "https://") {
            if UrlParser::default().parse(&value).is_some() {
                return Some(value);
            }
        } else if guarded && pointer && value.len() > 1 && value.starts_with('/') && !value.starts_with("//") && !address.is_ip
        {
            return Some(format!("http://{}{value}", address.host));
        }
    }
    None
}

fn is_one_of(list: &[&str], text: &str) -> bool {
    list.iter().any(|word| word.eq_ignore_ascii_case(text))
}

fn starts_with(text: &str, beginning: &str) -> bool {
    text.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn landing_of(text: &str) -> Option<String> {
        UrlParser::default().parse(text).as_ref().and_then(landing)
    }

    #[test]
    fn redirects_are_unwrapped() {
        for (url, expected) in [
            (
                "https://www.facebook.com/login/?next=https%3A%2F%2Fwww.facebook.com%2Fpeople%2FSlot11%2F100081190423754%2F&_fb_noscript=1",
                "https://www.facebook.com/people/Slot11/100081190423754/",
            ),
            ("https://www.facebook.com/login/?next=%2Fgroups%2Fwoodart", "http://www.facebook.com/groups/woodart"),
            ("https://l.facebook.com/l.php?h=A&u=https%3A%2F%2Fexample.com%2F%3Ffbclid%3D1", "https://example.com/?fbclid=1"),
            ("https://www.google.com/url?sa=t&q=http://example.org/a", "http://example.org/a"),
            ("https://a.example/?redirect_uri=HTTPS%253A%252F%252Fb.example%252F", "HTTPS://b.example/"),
            ("https://a.example/?next=https://b.example/login%3Fnext=https://c.example/", "https://c.example/"),
            (
                "https://myprivacy.dpgmedia.nl/consent/?siteKey=V9&callbackUrl=https:%2f%2fwww.ad.nl%2fprivacy-gate%2faccept-tcf2%3fredirectUri%3d%252fshow%252fturncommentator",
                "http://www.ad.nl/show/turncommentator",
            ),
        ] {
            assert_eq!(landing_of(url).as_deref(), Some(expected), "{url}");
        }
    }

    #[test]
    fn other_pages_stay() {
        for url in [
            "https://example.com/",
            "https://example.com/a?ref=https://b.example/",
            "https://example.com/share?image=https://b.example/x.png",
            "https://example.com/next/https://b.example/",
            "https://example.com/?next=",
            "https://example.com/?next=/a",
            "https://example.com/?url=https://",
        ] {
            assert_eq!(landing_of(url), None, "{url}");
        }
    }

    #[test]
    fn redirects_without_end_are_followed_twice() {
        let mut url = "https://z.example/".to_owned();
        for name in ["c", "b", "a"] {
            url = format!("https://{name}.example/?next={url}");
        }
        assert_eq!(landing_of(&url).as_deref(), Some("https://c.example/?next=https://z.example/"));
    }

    proptest! {
        #[test]
        fn a_landing_has_a_host(query in "(next|u|q|x)=(http|%|:|/|3A|2F|é|&|=|//){0,12}") {
            if let Some(landing) = landing_of(&format!("http://a.example/login?{query}")) {
                prop_assert!(UrlParser::default().parse(&landing).is_some(), "{landing}");
            }
        }
    }
}
