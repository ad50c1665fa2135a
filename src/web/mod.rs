//! Addresses on the web, as data. Sends nothing, and knows nobody who does.

pub mod place;
