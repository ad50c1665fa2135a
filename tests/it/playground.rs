//! The page at `/`: what is served, to whom, how large it is, and that it asks no other host. What it does in a browser is
//! `tests/playground`'s.

use crate::wire::Wire;
use axum::body::Body;
use axum::http::Method;
use axum::http::Request;
use coconut::http::ApiKeys;
use coconut::http::Config;
use coconut::http::Playground;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// All files together.
const MAX_BYTES: usize = 100_000;

/// The name of the language of pictures, which looks like an address and is none.
const SVG: &str = "http://www.w3.org/2000/svg";

fn wire() -> Wire {
    Wire::loading(Config::default())
}

fn request(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

/// Every file that the page needs, by path: what it names, and what that names.
async fn files(wire: &Wire) -> BTreeMap<String, String> {
    let names = regex::Regex::new(r#"(?:playground/|from '\./)([\w.]+)['"]"#).unwrap();
    let (mut found, mut left) = (BTreeMap::new(), vec!["/".to_owned()]);
    while let Some(path) = left.pop() {
        if found.contains_key(&path) {
            continue;
        }
        let reply = wire.get(&path).await;
        assert_eq!(reply.status, 200, "{path}");
        left.extend(
            names.captures_iter(&reply.body).map(|name| format!("/playground/{}", &name[1])),
        );
        found.insert(path, reply.body);
    }
    found
}

#[tokio::test]
async fn the_page_is_html_that_loads_nothing_from_elsewhere() {
    let reply = wire().get("/").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = reply.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert!(reply.body.starts_with("<!doctype html>"));
    for (path, text) in files(&wire()).await {
        let text = text.replace(SVG, "");
        for elsewhere in ["http://", "https://", "url(//", "src=\"//"] {
            assert!(!text.contains(elsewhere), "{path} names {elsewhere}");
        }
    }
}

#[tokio::test]
async fn every_file_is_used_typed_and_all_are_small() {
    let wire = wire();
    let files = files(&wire).await;
    let bytes: usize = files.values().map(String::len).sum();
    assert!(bytes < MAX_BYTES, "{bytes} bytes");

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/playground/assets");
    let written: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(
            |name| {
                if name == "index.html" { "/".to_owned() } else { format!("/playground/{name}") }
            },
        )
        .collect();
    assert_eq!(files.keys().cloned().collect::<BTreeSet<_>>(), written);

    for path in files.keys() {
        let kind = match path.rsplit('.').next().unwrap() {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(wire.get(path).await.header("content-type"), Some(kind), "{path}");
    }
}

#[tokio::test]
async fn browsers_ask_before_they_show_what_they_kept() {
    let wire = wire();
    let page = wire.get("/").await;
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let tag = page.header("etag").unwrap();
    let known = |tag: &str| {
        Request::get("/").header("if-none-match", tag.to_owned()).body(Body::empty()).unwrap()
    };
    let kept = wire.send(known(tag)).await;
    assert_eq!((kept.status.as_u16(), kept.body.as_str()), (304, ""));
    assert_eq!(kept.header("etag"), Some(tag));
    let other = wire.send(known("\"another\"")).await;
    assert_eq!((other.status.as_u16(), other.body), (200, page.body.clone()));
}

#[tokio::test]
async fn its_head_comes_without_its_body() {
    for path in ["/", "/playground/main.js"] {
        let head = wire().send(request(Method::HEAD, path)).await;
        assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
        let whole = wire().get(path).await;
        let length = whole.body.len().to_string();
        assert_eq!(head.header("content-length"), Some(length.as_str()), "{path}");
        assert_eq!(head.header("etag"), whole.header("etag"), "{path}");
    }
}

#[tokio::test]
async fn what_is_no_file_of_it_stays_an_error_of_the_api() {
    for path in
        ["/index.html", "/playground", "/playground/", "/playground/none.js", "/v1", "/main.js"]
    {
        assert_eq!(wire().get(path).await.blames(404, "not_found"), None, "{path}");
    }
    let reply = wire().send(request(Method::POST, "/")).await;
    assert_eq!(reply.blames(405, "method_not_allowed"), None);
}

#[tokio::test]
async fn the_page_is_for_everybody_and_what_it_asks_is_not() {
    let api_keys = ApiKeys::new(["secret".to_owned()]);
    let wire = Wire::loading(Config { api_keys, ..Config::default() });
    for path in files(&wire).await.keys() {
        assert_eq!(wire.get(path).await.status, 200, "{path}");
    }
    wire.get("/v1/models").await.blames(401, "missing_api_key");
}

#[tokio::test]
async fn without_it_there_is_nothing_at_its_paths() {
    let paths: Vec<String> = files(&wire()).await.into_keys().collect();
    let absent = Wire::loading(Config { playground: Playground::Absent, ..Config::default() });
    for path in paths {
        absent.get(&path).await.blames(404, "not_found");
    }
    absent.get("/v1/models").await.blames(503, "loading");
}
