//! The web from a client's side: addresses as data, requests to one server, streams of events. Knows no route and nobody
//! who asks.

pub mod client;
pub mod place;
pub mod sse;
