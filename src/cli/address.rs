//! Addresses of servers and keys for them, as flags. Asks nobody.

use anyhow::Context as _;
use anyhow::ensure;
use hyper::Uri;
use hyper::header::HeaderValue;

/// A server's address.
pub(super) fn parse_url(text: &str) -> anyhow::Result<Uri> {
    let uri: Uri = text.parse().context("not an address such as http://127.0.0.1:8080")?;
    ensure!(
        uri.scheme_str() == Some("http"),
        "must begin with http:// (for https:// ask through a proxy on this machine)"
    );
    ensure!(uri.query().is_none(), "must have no query");
    Ok(uri)
}

/// A key, as the header that is sent with it.
pub(super) fn parse_key(text: &str) -> anyhow::Result<HeaderValue> {
    let key = HeaderValue::from_str(&format!("Bearer {}", text.trim()));
    let mut key = key.context("not a key that fits in a header")?;
    key.set_sensitive(true);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_can_be_asked_are_taken() {
        assert!(parse_url("http://127.0.0.1:8080").is_ok());
        assert!(parse_url("http://localhost/behind/a/proxy/").is_ok());
        for wrong in ["https://example.org", "127.0.0.1:8080", "http://a?b=c", ""] {
            assert!(parse_url(wrong).is_err(), "{wrong}");
        }
    }
}
