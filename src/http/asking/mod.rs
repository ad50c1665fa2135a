//! The way of every question through the server, whatever its route: asked, watched, and what comes of it whole or as events.
//! Knows no route's JSON.

pub(super) mod acting;
pub(super) mod ask;
pub(super) mod include;
pub(super) mod inside;
pub(super) mod parts;
pub(super) mod respond;
pub(super) mod saying;
pub(super) mod several;
pub(super) mod stream;
pub(super) mod turns;
pub(super) mod view;
pub(super) mod vote;
pub(super) mod watched;
