//! Addresses: what a redirect leads to, and which of them belong to one host. Knows no network and no secret.

use percent_encoding::AsciiSet;
use percent_encoding::CONTROLS;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::percent_encode;
use percent_encoding::utf8_percent_encode;
use std::fmt;
use ureq::http::Uri;

/// What stands for something else in a path, or in no address at all.
const IN_PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same in one part of a path.
const IN_SEGMENT: &AsciiSet = &IN_PATH.add(b'/');

/// What other servers write into `Location` though no address has it.
const IN_LOCATION: &AsciiSet = &CONTROLS.add(b' ');

/// An absolute address of `http` or `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    address: Uri,
}

impl Place {
    /// A hub, as an operator names it. The reason against it does not repeat it: it may hold a password.
    pub fn endpoint(text: &str) -> Result<Self, String> {
        let example = "it is no address such as https://huggingface.co";
        let address: Uri = text.trim_end_matches('/').parse().map_err(|_| example.to_owned())?;
        let place = Self::of(address).ok_or_else(|| example.to_owned())?;
        match place.address.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            true => Err("it holds a user; what gives access goes into HF_TOKEN".to_owned()),
            false => Ok(place),
        }
    }

    /// Only what names a host and how to talk to it.
    pub fn of(address: Uri) -> Option<Self> {
        let known = matches!(address.scheme_str(), Some("http" | "https"));
        let named = address.host().is_some_and(|host| !host.is_empty());
        (known && named).then_some(Self { address })
    }

    /// What lies below this one.
    pub fn below(&self, path: &str) -> Result<Self, String> {
        let text = format!("{}/{path}", self.address.to_string().trim_end_matches('/'));
        let address = text.parse().map_err(|error| format!("{path} makes no address: {error}"))?;
        Ok(Self { address })
    }

    /// As a request names it.
    pub fn address(&self) -> &Uri {
        &self.address
    }

    /// Where the `Location` of an answer from here leads.
    pub fn redirected(&self, location: &[u8]) -> Result<Self, String> {
        let location = percent_encode(location, IN_LOCATION).to_string();
        let resolved = self.resolve(location.split('#').next().unwrap_or_default());
        let next = resolved.parse().ok().and_then(Self::of);
        let next = next.ok_or_else(|| format!("{self} redirects to what is no web address"))?;
        match (self.address.scheme_str(), next.address.scheme_str()) {
            // What is asked for in secret is not fetched in the open.
            (Some("https"), Some("http")) => {
                Err(format!("{self} redirects to {next}, which is not encrypted"))
            }
            _ => Ok(next),
        }
    }

    /// RFC 3986, 5.2: a reference that stands in an answer from here.
    fn resolve(&self, reference: &str) -> String {
        let (scheme, host) = (self.address.scheme_str().unwrap_or("http"), self.authority());
        let (path, query) = (self.address.path(), self.address.query());
        if has_scheme(reference) {
            return reference.to_owned();
        }
        if reference.starts_with("//") {
            return format!("{scheme}:{reference}");
        }
        let (to, asked) = match reference.split_once('?') {
            Some((to, asked)) => (to, Some(asked)),
            None if reference.is_empty() => ("", query),
            None => (reference, None),
        };
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = match to {
            "" => path.to_owned(),
            to if to.starts_with('/') => without_dots(to),
            to => without_dots(&format!("{folder}/{to}")),
        };
        let asked = asked.map_or_else(String::new, |asked| format!("?{asked}"));
        format!("{scheme}://{host}{path}{asked}")
    }

    fn authority(&self) -> &str {
        self.address.authority().map_or("", |authority| authority.as_str())
    }

    /// Whether what is meant for `hub` may be told here too: the same host and port, at most in a safer way.
    pub fn belongs_to(&self, hub: &Self) -> bool {
        let host = |place: &Self| place.address.host().map(str::to_ascii_lowercase);
        let (here, there) = ((self.scheme(), self.port()), (hub.scheme(), hub.port()));
        let safer = here == ("https", 443) && there == ("http", 80);
        host(self) == host(hub) && (here == there || safer)
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        self.address.scheme_str().unwrap_or_default()
    }

    /// The one that is named, or the usual one.
    pub fn port(&self) -> u16 {
        let usual = if self.scheme() == "https" { 443 } else { 80 };
        self.address.port_u16().unwrap_or(usual)
    }
}

impl fmt::Display for Place {
    /// Without user and query, in which other servers keep their secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.authority().rsplit('@').next().unwrap_or_default();
        write!(f, "{}://{host}{}", self.scheme(), self.address.path().trim_end_matches('/'))
    }
}

/// A name of a file as an address has it.
pub fn path(name: &str) -> String {
    utf8_percent_encode(name, IN_PATH).to_string()
}

/// A name of a revision as an address has it.
pub fn segment(name: &str) -> String {
    utf8_percent_encode(name, IN_SEGMENT).to_string()
}

fn has_scheme(reference: &str) -> bool {
    let scheme = reference.split([':', '/', '?', '#']).next().unwrap_or_default();
    reference[scheme.len()..].starts_with(':') && !scheme.is_empty()
}

/// RFC 3986, 5.2.4.
fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        parts.push("");
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::Place;

    fn place(text: &str) -> Place {
        Place::of(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_location_is_read_as_the_standard_says() {
        let from = place("https://hub.org:8443/a/b/c?old=1");
        for (location, to) in [
            ("http", "https://hub.org:8443/a/b/http"),
            ("https://cdn.org/x?sig=1#top", "https://cdn.org/x?sig=1"),
            ("//cdn.org/x", "https://cdn.org/x"),
            ("/x/./y/../z", "https://hub.org:8443/x/z"),
            ("x?new=http://y", "https://hub.org:8443/a/b/x?new=http://y"),
            ("../x/", "https://hub.org:8443/a/x/"),
            ("../../../..", "https://hub.org:8443/"),
            ("?new=2", "https://hub.org:8443/a/b/c?new=2"),
            ("", "https://hub.org:8443/a/b/c?old=1"),
            ("/a file/\u{e4}", "https://hub.org:8443/a%20file/%C3%A4"),
        ] {
            let next = from.redirected(location.as_bytes());
            assert_eq!(next.unwrap().address.to_string(), to, "{location}");
        }
        for refused in ["ftp://hub.org/x", "http://hub.org/x", "https://", "file:///x"] {
            let said = from.redirected(refused.as_bytes()).unwrap_err();
            assert!(said.contains("redirects"), "{said}");
        }
        assert!(place("http://hub.org").redirected(b"https://hub.org/").is_ok());
    }

    #[test]
    fn a_secret_is_for_one_host_and_port() {
        let hub = place("http://hub.org/mirror");
        for own in ["http://hub.org/x", "http://HUB.org:80/", "https://hub.org/x"] {
            assert!(place(own).belongs_to(&hub), "{own}");
        }
        for other in
            ["http://cdn.hub.org/", "http://hub.org:81/", "https://hub.org:80/", "http://hub/"]
        {
            assert!(!place(other).belongs_to(&hub), "{other}");
        }
        assert!(!place("http://hub.org/").belongs_to(&place("https://hub.org/")));
        assert!(!place("https://hub.org@evil.org/").belongs_to(&place("https://hub.org/")));
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let shown = place("https://me:hush@cdn.org/file?X-Signature=hush").to_string();
        assert_eq!(shown, "https://cdn.org/file");
        for endpoint in ["hub.org", "ftp://hub.org", "https://me:hush@hub.org", "", "https://"] {
            assert!(!Place::endpoint(endpoint).unwrap_err().contains("hush"), "{endpoint}");
        }
    }
}
