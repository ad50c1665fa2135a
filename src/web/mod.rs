//! The web from a client's side: addresses as data, requests to one server, streams of events. Knows no route and nobody
//! who asks.
//!
//! ```
//! use coconut::web::place::Place;
//! use coconut::web::sse::Events;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Place::endpoint("https://huggingface.co/")?;
//! let file = hub.below("openai-community/gpt2/resolve/main/config.json")?;
//! assert!(file.belongs_to(&hub));
//! assert_eq!(file.port(), 443);
//!
//! // Pieces end where the network ends them.
//! let mut events = Events::default();
//! assert!(events.push(b"event: token\ndata: {\"text\": \"S")?.is_empty());
//! let complete = events.push(b"am\"}\n\n")?;
//! assert_eq!(complete[0].name, "token");
//! assert_eq!(complete[0].data, r#"{"text": "Sam"}"#);
//! # Ok(())
//! # }
//! ```

pub mod client;
pub mod place;
pub mod sse;
