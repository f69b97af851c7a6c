//! The door: who may come in. Every request passes here, whatever it asks for.
//!
//! ```text
//! Host not ours ──> 403      a page elsewhere whose name was made to lead here
//! Origin not ours ──> 403    a page elsewhere that calls us
//! no token, or a wrong one ──> 401      all but /livez
//! ```
//!
//! The token comes as `Authorization: Bearer`, as the cookie of this port, or once in the URL that was printed; that answer moves it into the
//! cookie and out of the address line.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderName, HeaderValue, LOCATION, ORIGIN,
    REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use subtle::ConstantTimeEq as _;

use super::guests::Guest;
use super::table::refusal;
use super::{ROUTES, Shared};

/// What a page of ours may do: load what we serve, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
                      font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The port that addresses of the web mean when they name none.
const HTTP: u16 = 80;
/// The only path that answers without a token.
const OPEN: &str = "/livez";

/// Who may come in.
pub(crate) struct Door {
    /// `name:port` that clients may call us by.
    hosts: Vec<String>,
    token: String,
    cookie: String,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl Door {
    /// The door of a server at `address`, which may also be called by the names `more` (with or without a port).
    pub(crate) fn new(address: SocketAddr, more: &[String], token: String) -> Self {
        let port = address.port();
        let mut hosts = Vec::new();
        if address.ip().is_loopback() || address.ip().is_unspecified() {
            hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}:{port}")));
        }
        if !address.ip().is_unspecified() {
            hosts.push(address.to_string());
        }
        for name in more.iter().map(|name| name.to_lowercase()) {
            hosts.push(format!("{name}:{port}"));
            hosts.push(name);
        }
        if port == HTTP {
            // Clients leave it out.
            let bare: Vec<String> = hosts.iter().filter_map(|host| host.strip_suffix(":80")).map(str::to_owned).collect();
            hosts.extend(bare);
        }
        Self { hosts, token, cookie: format!("windrow-{port}") }
    }

    fn knows(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.hosts.contains(&host)
    }

    /// Whether the request names one of our hosts, as every one must.
    fn is_for_us(&self, request: &Request) -> bool {
        let mut named = request.headers().get_all(HOST).iter();
        let host = named.next().and_then(|host| host.to_str().ok());
        let is_known = named.next().is_none() && host.is_some_and(|host| self.knows(host));
        is_known && request.uri().authority().is_none_or(|authority| self.knows(authority.as_str()))
    }

    /// Whether a page sent it, and one that is not ours.
    fn is_foreign(&self, headers: &HeaderMap) -> bool {
        headers.get_all(ORIGIN).iter().any(|origin| {
            let host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
            !host.is_some_and(|host| self.knows(host))
        })
    }

    fn is_token(&self, given: &str) -> bool {
        given.as_bytes().ct_eq(self.token.as_bytes()).into()
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let bearer =
            headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix("Bearer "));
        if let Some(token) = bearer {
            return self.is_token(token);
        }
        let cookies =
            headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split("; "));
        let mut ours = cookies.filter_map(|cookie| cookie.split_once('=')).filter(|(name, _)| *name == self.cookie);
        ours.any(|(_, token)| self.is_token(token))
    }

    /// The answer to the URL that was printed: the token goes into a cookie, the browser to the same page without it.
    fn welcome(&self, request: &Request) -> Option<Response> {
        let query = request.uri().query()?;
        let token = query.split('&').find_map(|pair| pair.strip_prefix("token="))?;
        if request.method() != Method::GET || !self.is_token(token) {
            return None;
        }
        let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("token=")).collect();
        // A path that is none of ours may be read as another host.
        let path = ROUTES
            .iter()
            .map(|route| route.path)
            .find(|path| !path.contains('{') && *path == request.uri().path())
            .unwrap_or("/");
        let to = if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) };
        let cookie = format!("{}={}; HttpOnly; SameSite=Strict; Path=/", self.cookie, self.token);
        let answer = Response::builder().status(StatusCode::SEE_OTHER).header(LOCATION, to).header(SET_COOKIE, cookie);
        answer.body(Body::empty()).ok()
    }
}

/// Lets a request through, or not, and says in the answer's headers what browsers may do with it.
pub(super) async fn pass(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let door = &shared.door;
    let mut answer = if !door.is_for_us(&request) {
        let hint = "call it by the address that was printed, or give the name with --host";
        refusal(StatusCode::FORBIDDEN, "E-HTTP-HOST", "this server is not called so", hint)
    } else if door.is_foreign(request.headers()) {
        refusal(StatusCode::FORBIDDEN, "E-HTTP-ORIGIN", "a page of another origin asks", "open the page that was printed")
    } else if door.has_token(request.headers()) {
        if let Some(guest) = request.extensions().get::<Arc<Guest>>() {
            guest.pass();
        }
        next.run(request).await
    } else if request.uri().path() == OPEN {
        next.run(request).await
    } else if let Some(answer) = door.welcome(&request) {
        answer
    } else {
        let hint = "open the URL that was printed, or send `Authorization: Bearer TOKEN`";
        refusal(StatusCode::UNAUTHORIZED, "E-HTTP-TOKEN", "no token, or a wrong one", hint)
    };
    let said: [(HeaderName, &str); 5] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in said {
        answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> Door {
        Door::new("127.0.0.1:8765".parse().expect("an address"), &["Board.Example".into()], "secret".into())
    }

    fn check(headers: &[(&str, &str)], for_us: bool, foreign: bool, token: bool) {
        let mut request = Request::builder().uri("/api/v1/clusters");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let (door, headers_of) = (door(), request.headers());
        let found = (door.is_for_us(&request), door.is_foreign(headers_of), door.has_token(headers_of));
        assert_eq!(found, (for_us, foreign, token), "{headers:?}");
    }

    #[test]
    fn only_our_names_pass() {
        for host in ["127.0.0.1:8765", "localhost:8765", "LOCALHOST:8765", "[::1]:8765", "board.example", "board.example:8765"]
        {
            check(&[("host", host)], true, false, false);
        }
        for host in [
            "",
            "localhost",
            "localhost:80",
            "evil.example",
            "127.0.0.1:8765.evil.example",
            "evil.example:8765",
            "localhost:8765@evil.example",
        ] {
            check(&[("host", host)], false, false, false);
        }
        check(&[], false, false, false);
        check(&[("host", "localhost:8765"), ("host", "evil.example")], false, false, false);
    }

    #[test]
    fn the_usual_port_of_the_web_need_not_be_named() {
        let door = Door::new("[::1]:80".parse().expect("an address"), &["board.example".into()], String::new());
        for host in ["localhost", "localhost:80", "127.0.0.1", "[::1]", "[::1]:80", "board.example"] {
            assert!(door.knows(host), "{host}");
        }
        assert!(!door.knows("localhost:8765"));
    }

    #[test]
    fn other_pages_do_not_pass() {
        let ours = ("host", "localhost:8765");
        check(&[ours, ("origin", "http://localhost:8765")], true, false, false);
        for origin in ["null", "http://evil.example", "http://localhost:80", "file://", "http://localhost:8765.evil.example"] {
            check(&[ours, ("origin", origin)], true, true, false);
        }
    }

    #[test]
    fn the_token_comes_as_a_header_or_a_cookie() {
        let ours = ("host", "localhost:8765");
        check(&[ours, ("authorization", "Bearer secret")], true, false, true);
        check(&[ours, ("cookie", "a=b; windrow-8765=secret")], true, false, true);
        for wrong in ["Bearer secre", "Bearer secrets", "Bearer ", "Basic secret", "secret"] {
            check(&[ours, ("authorization", wrong)], true, false, false);
        }
        check(&[ours, ("cookie", "windrow-8766=secret")], true, false, false);
        check(&[ours, ("authorization", "Bearer wrong"), ("cookie", "windrow-8765=secret")], true, false, false);
    }

    #[test]
    fn the_printed_url_leads_to_the_page_without_the_token() {
        let ask = |uri: &str| {
            let request = Request::builder().uri(uri).body(Body::empty()).expect("a request");
            let answer = door().welcome(&request)?;
            Some(answer.headers().get(LOCATION)?.to_str().ok()?.to_owned())
        };
        assert_eq!(ask("/?token=secret").as_deref(), Some("/"));
        assert_eq!(ask("/api/v1/map?a=1&token=secret&b=2").as_deref(), Some("/api/v1/map?a=1&b=2"));
        for elsewhere in ["//evil.example/", "/\\evil.example/x", "/%5cevil.example", "/assets/{name}", "/nothing"] {
            assert_eq!(ask(&format!("{elsewhere}?view=map&token=secret")).as_deref(), Some("/?view=map"), "{elsewhere}");
        }
        assert_eq!(ask("/?token=wrong"), None);
        assert_eq!(ask("/"), None);
    }
}
