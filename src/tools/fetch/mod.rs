//! `fetch[address]`: text and JSON from hosts that were listed at the start. Knows no key and sends nothing but the
//! address; follows redirects among the listed hosts only.

mod hosts;
#[cfg(test)]
mod tests;

use crate::tools::call::Call;
use crate::tools::call::Declaration;
use crate::tools::fetch::hosts::Host;
use crate::tools::fetch::hosts::PublicOnly;
use crate::tools::tool::Given;
use crate::tools::tool::Tool;
use crate::web::place::Place;
use std::io::Read as _;
use std::time::Instant;
use ureq::Agent;
use ureq::Body;
use ureq::http::HeaderValue;
use ureq::http::Response;
use ureq::http::Uri;
use ureq::http::header;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::DefaultConnector;

/// A longer chain has no end.
const MAX_REDIRECTS: usize = 5;

/// More than a model reads; the rest is not waited for.
const MAX_BYTES: u64 = 256 << 10;

/// What the action is called, and what it is given.
const FETCH: (&str, &str) = ("fetch", "url");

/// Asks listed hosts.
#[derive(Debug)]
pub struct Fetch {
    agent: Agent,
    listed: Vec<Host>,
}

impl Fetch {
    /// For hosts as an operator lists them: `api.example.org`, `http://127.0.0.1:8000`.
    ///
    /// # Errors
    /// If one of them is no host.
    pub fn from_hosts(hosts: &[&str]) -> Result<Self, String> {
        let parse = |host: &&str| Host::parse(host).map_err(|reason| format!("{host}: {reason}"));
        let listed: Vec<Host> = hosts.iter().map(parse).collect::<Result<_, _>>()?;
        // No proxy: it would look up names where nobody sees what they lead to.
        let settings = Agent::config_builder()
            .user_agent(concat!("coconut/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .build();
        let resolver = PublicOnly { inner: DefaultResolver::default(), listed: listed.clone() };
        let agent = Agent::with_parts(settings, DefaultConnector::default(), resolver);
        Ok(Self { agent, listed })
    }

    fn get(&self, address: &str, deadline: Instant) -> Result<String, String> {
        let uri: Option<Uri> = address.parse().ok();
        let place = uri.filter(|uri| !hosts::has_user(uri)).and_then(Place::of);
        let mut place = place.ok_or("it is no address such as https://example.org/page")?;
        for _ in 0..=MAX_REDIRECTS {
            self.check(&place)?;
            let response =
                self.ask(&place, deadline).map_err(|error| format!("{place}: {error}"))?;
            let status = response.status();
            if status.is_success() {
                return text(response);
            }
            let location = response.headers().get(header::LOCATION).map(HeaderValue::as_bytes);
            match location.filter(|_| status.is_redirection()) {
                Some(location) => place = place.redirected(location)?,
                None => return Err(format!("{place} answered {status}")),
            }
        }
        Err(format!("redirected more than {MAX_REDIRECTS} times, last to {place}"))
    }

    fn check(&self, place: &Place) -> Result<(), String> {
        let host = Host::of(place).filter(|_| !hosts::has_user(place.address()));
        match host.is_some_and(|host| self.listed.contains(&host)) {
            true => Ok(()),
            false => {
                let listed: Vec<String> = self.listed.iter().map(Host::to_string).collect();
                Err(format!("{place} is not on the list of hosts: {}", listed.join(", ")))
            }
        }
    }

    fn ask(&self, place: &Place, deadline: Instant) -> Result<Response<Body>, ureq::Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        let request =
            self.agent.get(place.address()).header(header::ACCEPT, "text/*, application/json");
        request.config().timeout_global(Some(left)).build().call()
    }
}

impl Tool for Fetch {
    fn declarations(&self) -> Vec<Declaration> {
        let listed: Vec<String> = self.listed.iter().map(Host::to_string).collect();
        let description = format!("Gets text or JSON from one of {}.", listed.join(", "));
        vec![Declaration::of_texts(FETCH.0, &description, &[(FETCH.1, "The address")])]
    }

    fn run(&self, call: &Call, _: &mut Given, deadline: Instant) -> Result<String, String> {
        let [address] = call.argument.texts([FETCH.1])?;
        self.get(&address, deadline)
    }
}

/// The beginning of an answer, if it is text.
fn text(response: Response<Body>) -> Result<String, String> {
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::to_str);
    let kind = kind.and_then(Result::ok).unwrap_or_default().to_ascii_lowercase();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let is_json = essence == "application/json" || essence.ends_with("+json");
    if !is_json && !essence.starts_with("text/") {
        return Err(format!("the answer is neither text nor JSON but {essence:?}"));
    }
    let mut bytes = Vec::new();
    let mut body = response.into_body().into_reader().take(MAX_BYTES + 1);
    body.read_to_end(&mut bytes).map_err(|error| format!("the answer broke off: {error}"))?;
    let is_cut = bytes.len() as u64 > MAX_BYTES;
    bytes.truncate(MAX_BYTES as usize);
    match (std::str::from_utf8(&bytes), is_cut) {
        (Ok(text), false) => Ok(text.to_owned()),
        (Ok(text), true) => Ok(format!("{text} [cut at {MAX_BYTES} bytes]")),
        // The cut may go through a character.
        (Err(error), true) if error.error_len().is_none() => {
            let whole = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            Ok(format!("{whole} [cut at {MAX_BYTES} bytes]"))
        }
        (Err(_), _) => Err("the answer is not UTF-8".to_owned()),
    }
}
