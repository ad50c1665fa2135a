//! Which hosts may be asked, and which of their addresses. Sends nothing.

use crate::web::place::Place;
use std::fmt;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::resolver::ResolvedSocketAddrs;
use ureq::unversioned::resolver::Resolver;
use ureq::unversioned::transport::NextTimeout;

/// A host that may be asked, in one way and on one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    scheme: String,
    /// In small letters.
    name: String,
    port: u16,
}

impl Host {
    /// `host`, `host:port`, with `https://` or `http://` before it. Without, it is `https`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let address =
            if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let uri: Option<Uri> = address.parse().ok();
        let bare = |uri: &Uri| {
            uri.path().trim_end_matches('/').is_empty() && uri.query().is_none() && !has_user(uri)
        };
        let place = uri.filter(bare).and_then(Place::of);
        let example = "it is no host such as api.example.org, or http://127.0.0.1:8000";
        Self::of(&place.ok_or(example)?).ok_or_else(|| example.to_owned())
    }

    /// Where a place is.
    pub(super) fn of(place: &Place) -> Option<Self> {
        let name = place.address().host()?.to_ascii_lowercase();
        let scheme = place.scheme().to_owned();
        Some(Self { scheme, name, port: place.port() })
    }

    /// Whether whoever listed this host meant one that others cannot reach: an address by its number, or this machine.
    fn is_literal(&self) -> bool {
        let bare = self.name.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok() || self.name == "localhost"
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.name, self.port)
    }
}

/// Whether an address names somebody to log in as.
pub(super) fn has_user(uri: &Uri) -> bool {
    uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
}

/// The system's resolver, without addresses that no host of the open web has: a name that leads into this network would
/// let a model ask what only machines in it may ask. What is connected to is what was looked at here.
#[derive(Debug)]
pub(super) struct PublicOnly {
    pub(super) inner: DefaultResolver,
    pub(super) listed: Vec<Host>,
}

impl Resolver for PublicOnly {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let resolved = self.inner.resolve(uri, config, timeout)?;
        let host = Place::of(uri.clone()).as_ref().and_then(Host::of);
        if host.is_some_and(|host| host.is_literal() && self.listed.contains(&host)) {
            return Ok(resolved);
        }
        let mut public = self.empty();
        for address in resolved.iter().filter(|address| is_public(address.ip())) {
            public.push(*address);
        }
        match public.is_empty() {
            true => Err(ureq::Error::Other("its addresses are private".into())),
            false => Ok(public),
        }
    }
}

/// Whether anybody on the open web may have that address.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

/// IANA's registry of special addresses: this network, private ones, those between providers and customers, benchmarks,
/// examples, groups, and what is reserved.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let special = a == 0 || a >= 240 || (a == 198 && (b & 0xfe) == 18) || (a, b, c) == (192, 0, 0);
    let private = address.is_private() || address.is_loopback() || address.is_link_local();
    !(shared || special || private || address.is_documentation() || address.is_multicast())
}

/// Of the others only global unicast (`2000::/3`) is given out, without examples and Teredo.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let given_out = first & 0xe000 == 0x2000;
    let special = first == 0x2001 && (second < 0x200 || second == 0xdb8);
    given_out && !special && first != 0x3fff
}

/// The address of the old kind that is reached through one of the new kind: mapped, translated (`64:ff9b::/96`), 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let joined = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => Some(joined(g, h)),
        [0x2002, ..] => Some(joined(b, c)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_listed_with_its_way_and_port() {
        let written = |text: &str| Host::parse(text).map(|host| host.to_string());
        assert_eq!(written("Example.org").unwrap(), "https://example.org:443");
        assert_eq!(written("example.org:8443").unwrap(), "https://example.org:8443");
        assert_eq!(written("http://[::1]:80/").unwrap(), "http://[::1]:80");
        for refused in ["", "a.org/path", "ftp://a.org", "me@a.org", "https://", "a.org?x", "*.a b"]
        {
            assert!(written(refused).unwrap_err().contains("no host"), "{refused}");
        }
    }

    #[test]
    fn addresses_inside_are_told_from_those_outside() {
        for public in ["1.1.1.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "198.20.0.1"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "::127.0.0.1",
            "64:ff9b:1::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }
}
