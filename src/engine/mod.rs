//! Many sequences on one device: scheduler, KV memory, runner, sampler. One OS thread loops
//! `schedule -> run -> postprocess`; async code talks to it through bounded channels. Knows ids, no text, no HTTP.

pub mod config;
pub mod request;
