//! Who may ask the console what: a page of this machine is open to every site in the same browser, and to every
//! other program of this machine.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Method, Request, StatusCode, Uri};
use subtle::ConstantTimeEq;

/// Source: Fetch Metadata Request Headers, "The Sec-Fetch-Site HTTP Request Header".
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Bytes of a key: 128 bits.
const KEY: usize = 16;

/// What is answered to whom.
#[derive(Debug)]
pub struct Guard {
    /// In hexadecimal digits.
    key: String,
    /// The console's own port, and those by which others reach it, as through `ssh -L`.
    ports: Vec<u16>,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was sent to another host: by a page whose name leads here, or through a tunnel with a port of its own.
    Host,
    /// It has not the key.
    Key,
    /// It would change something and comes from elsewhere.
    Site,
    /// It would change something and is not JSON.
    Type,
}

impl Refusal {
    /// As HTTP says it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Key => StatusCode::UNAUTHORIZED,
            Self::Site => StatusCode::FORBIDDEN,
            Self::Type => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// What to do about it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Host => {
                "the console answers to 127.0.0.1, [::1] and localhost with its own port; through a tunnel with \
                 another local port, start it with --also-port"
            }
            Self::Key => {
                "the key is missing or wrong: open the address that `queue-scaler console` has printed"
            }
            Self::Site => "only the console's own page may change anything",
            Self::Type => "send JSON, with `Content-Type: application/json`",
        }
    }
}

impl Guard {
    /// A guard with a key that nobody can guess.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn new(ports: Vec<u16>) -> Result<Self, getrandom::Error> {
        let mut bytes = [0; KEY];
        getrandom::fill(&mut bytes)?;
        Ok(Self { key: hex::encode(bytes), ports })
    }

    /// One with a key that was given.
    ///
    /// # Errors
    /// When somebody could guess it.
    pub fn with_key(key: &str, ports: Vec<u16>) -> Result<Self, String> {
        let is_hex = key.bytes().all(|byte| byte.is_ascii_hexdigit());
        if key.len() < 2 * KEY || !is_hex {
            return Err(format!("a key is at least {} hexadecimal digits", 2 * KEY));
        }
        Ok(Self { key: key.to_owned(), ports })
    }

    /// What whoever may ask has to send.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Why this is not answered. The page itself says nothing of the account, and has to be there before the key is.
    pub fn refusal(&self, request: &Request<Body>) -> Option<Refusal> {
        let headers = request.headers();
        let is_here = |authority: &Authority| self.is_here(authority);
        let host = only(headers, &HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
        if !host.as_ref().is_some_and(is_here) || !request.uri().authority().is_none_or(is_here) {
            return Some(Refusal::Host);
        }
        if is_secret(request.uri()) && !self.has_key(headers) {
            return Some(Refusal::Key);
        }
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        if !changes {
            return None;
        }
        let site = only(headers, &FETCH_SITE).is_some_and(|site| site == "same-origin");
        let origin = match headers.get(ORIGIN) {
            None => true,
            Some(origin) => {
                let authority = origin.to_str().ok().and_then(|it| it.strip_prefix("http://"));
                authority.and_then(|it| it.parse().ok()).as_ref().is_some_and(is_here)
            }
        };
        if !site || !origin {
            return Some(Refusal::Site);
        }
        let essence = only(headers, &CONTENT_TYPE).and_then(|it| it.split(';').next());
        let is_json = essence.is_some_and(|it| it.trim().eq_ignore_ascii_case("application/json"));
        (!is_json).then_some(Refusal::Type)
    }

    /// Whether that is a name of this machine that no other machine can have, with a port of ours.
    fn is_here(&self, authority: &Authority) -> bool {
        let host = authority.host();
        let is_here =
            ["127.0.0.1", "[::1]"].contains(&host) || host.eq_ignore_ascii_case("localhost");
        let has_user = authority.as_str().contains('@');
        // Source: RFC 9110, 4.2.1: without a port, 80 is meant.
        is_here && !has_user && self.ports.contains(&authority.port_u16().unwrap_or(80))
    }

    fn has_key(&self, headers: &HeaderMap) -> bool {
        let given = only(headers, &AUTHORIZATION).and_then(|it| it.strip_prefix("Bearer "));
        given.is_some_and(|given| bool::from(given.as_bytes().ct_eq(self.key.as_bytes())))
    }
}

/// Whether that says something of the account, and so needs the key.
pub(super) fn is_secret(uri: &Uri) -> bool {
    ["/api/", "/metrics"].iter().any(|it| uri.path().starts_with(it))
}

/// The value of a header that is there once: of two, nobody knows which one another program has gone by.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "00112233445566778899aabbccddeeff";

    fn refusal(method: &str, uri: &str, headers: &[(&str, &str)]) -> Option<Refusal> {
        let guard = Guard::with_key(KEY, vec![7788, 9000]).unwrap();
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        guard.refusal(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn only_names_of_this_machine_are_answered_to() {
        let of = |host: &str| refusal("GET", "/", &[("host", host)]);
        for host in ["127.0.0.1:7788", "localhost:7788", "LocalHost:9000", "[::1]:7788"] {
            assert_eq!(of(host), None, "{host}");
        }
        for host in [
            "127.0.0.1.example:7788",
            "127.0.0.1",
            "127.0.0.1:80",
            "localhost.example:7788",
            "user@localhost:7788",
            "example:7788",
            "0.0.0.0:7788",
            "[::]:7788",
            "169.254.169.254:7788",
            "127.0.0.1:7788:7788",
            "",
        ] {
            assert_eq!(of(host), Some(Refusal::Host), "{host}");
        }
        assert_eq!(refusal("GET", "/", &[]), Some(Refusal::Host));
        let here = ("host", "localhost:7788");
        assert_eq!(refusal("GET", "/", &[here, here]), Some(Refusal::Host), "two of them");
        assert_eq!(refusal("GET", "http://example:7788/", &[here]), Some(Refusal::Host));
        assert_eq!(refusal("GET", "http://localhost:7788/", &[here]), None);
    }

    #[test]
    fn what_says_something_of_the_account_needs_the_key() {
        let here = ("host", "localhost:7788");
        let with = |value: &str| refusal("GET", "/api/status", &[here, ("authorization", value)]);
        assert_eq!(with(&format!("Bearer {KEY}")), None);
        let prefix = KEY.get(..31).unwrap();
        let wrong = [
            KEY.to_owned(),
            format!("Basic {KEY}"),
            format!("Bearer {prefix}"),
            format!("Bearer {KEY}0"),
            format!("Bearer {}", KEY.replace('f', "e")),
            "Bearer ".to_owned(),
        ];
        for wrong in wrong {
            assert_eq!(with(&wrong), Some(Refusal::Key), "{wrong}");
        }
        for path in ["/api/status", "/api/live", "/metrics"] {
            assert_eq!(refusal("GET", path, &[here]), Some(Refusal::Key), "{path}");
            assert_eq!(refusal("OPTIONS", path, &[here]), Some(Refusal::Key), "{path}");
        }
        assert_eq!(refusal("GET", "/page.js", &[here]), None);
    }

    #[test]
    fn only_our_own_page_changes_anything() {
        let bearer = format!("Bearer {KEY}");
        let all = [
            ("host", "localhost:7788"),
            ("authorization", bearer.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("content-type", "application/json"),
        ];
        let but = |name: &str, value: Option<&str>| {
            let kept = all.into_iter().filter(|(it, _)| *it != name);
            let headers: Vec<_> = kept.chain(value.map(|value| (name, value))).collect();
            refusal("POST", "/api/stop", &headers)
        };
        assert_eq!(but("", None), None);
        assert_eq!(but("origin", Some("http://localhost:7788")), None);
        assert_eq!(but("content-type", Some("Application/JSON; charset=utf-8")), None);
        assert_eq!(but("authorization", None), Some(Refusal::Key));
        for site in [None, Some("cross-site"), Some("same-site"), Some("none")] {
            assert_eq!(but("sec-fetch-site", site), Some(Refusal::Site), "{site:?}");
        }
        for origin in
            ["http://example", "http://127.0.0.1.example:7788", "null", "https://localhost:7788"]
        {
            assert_eq!(but("origin", Some(origin)), Some(Refusal::Site), "{origin}");
        }
        for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
            assert_eq!(but("content-type", kind), Some(Refusal::Type), "{kind:?}");
        }
    }

    #[test]
    fn a_key_is_not_guessed() {
        let [one, other] = [(), ()].map(|()| Guard::new(vec![1]).unwrap());
        assert_ne!(one.key(), other.key());
        assert_eq!(one.key().len(), 32);
        assert!(Guard::with_key("0123", Vec::new()).is_err());
        assert!(Guard::with_key(&"x".repeat(32), Vec::new()).is_err());
    }
}
