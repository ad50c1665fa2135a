//! The page at `/` on which thoughts can be seen: files inside the program, each at an address of its own. Knows what
//! they are and how browsers may keep them; what the page asks it asks of the API, like any other client.

use crate::http::AppState;
use axum::Router;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use sha2::Digest as _;
use sha2::Sha256;
use std::fmt::Write as _;

/// Nothing from other hosts, no script or style inside the page, no frame around it, and forms only by script.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// A file of the page.
#[derive(Debug)]
struct Asset {
    path: &'static str,
    kind: &'static str,
    body: &'static str,
}

/// A file in `assets`, under its own name.
macro_rules! asset {
    ($name:literal, $kind:expr) => {
        Asset {
            path: concat!("/playground/", $name),
            kind: $kind,
            body: include_str!(concat!("assets/", $name)),
        }
    };
}

/// All of them, the page itself first.
const ASSETS: &[Asset] = &[
    Asset { path: "/", kind: HTML, body: include_str!("assets/index.html") },
    asset!("icon.svg", PICTURE),
    asset!("page.css", STYLE),
    asset!("api.js", SCRIPT),
    asset!("compare.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("examples.js", SCRIPT),
    asset!("graph.js", SCRIPT),
    asset!("intervene.js", SCRIPT),
    asset!("layout.js", SCRIPT),
    asset!("main.js", SCRIPT),
    asset!("question.js", SCRIPT),
    asset!("request.js", SCRIPT),
    asset!("samples.js", SCRIPT),
    asset!("settings.js", SCRIPT),
    asset!("thoughts.js", SCRIPT),
];

/// An exact route for each file: what is at no path stays the API's error.
pub(super) fn pages() -> Router<AppState> {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        let tag = tag(asset.body);
        let answer = async move |headers: HeaderMap| answer(asset, &tag, &headers);
        router.route(asset.path, get(answer))
    })
}

/// The file, or that the browser has it already.
fn answer(asset: &Asset, tag: &HeaderValue, asked: &HeaderMap) -> Response {
    let fixed = |value| HeaderValue::from_static(value);
    let headers: [(HeaderName, HeaderValue); 6] = [
        (header::ETAG, tag.clone()),
        // Another version of the program serves other files at the same addresses: ask before showing a kept one.
        (header::CACHE_CONTROL, fixed("no-cache")),
        (header::CONTENT_SECURITY_POLICY, fixed(POLICY)),
        (header::CONTENT_TYPE, fixed(asset.kind)),
        (header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        (header::REFERRER_POLICY, fixed("no-referrer")),
    ];
    if is_known(tag, asked) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, asset.body).into_response()
}

/// Whether one of the tags in `if-none-match` is this one. Proxies that compress mark them as weak.
fn is_known(tag: &HeaderValue, asked: &HeaderMap) -> bool {
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known
        .flat_map(|tags| tags.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == "*" || known.as_bytes() == tag.as_bytes())
}

/// What tells one content from another.
fn tag(body: &str) -> HeaderValue {
    let digest = Sha256::digest(body);
    let tag = digest.iter().take(12).fold(String::from("\""), |mut tag, byte| {
        write!(tag, "{byte:02x}").expect("a string takes all that is written");
        tag
    });
    HeaderValue::try_from(tag + "\"").expect("hexadecimal digits are allowed in a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_is_known_by_its_tag_only() {
        let tag = tag("page");
        let asked = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            HeaderMap::from_iter([(header::IF_NONE_MATCH, value)])
        };
        let text = tag.to_str().unwrap();
        for known in [text.to_owned(), format!("\"a\", {text}"), format!("W/{text}"), "*".into()] {
            assert!(is_known(&tag, &asked(&known)), "{known}");
        }
        assert!(!is_known(&tag, &asked("\"a\"")) && !is_known(&tag, &HeaderMap::new()));
        assert_ne!(tag, super::tag("another page"));
    }
}
