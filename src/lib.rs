//! Serve, train and evaluate language models that reason in a continuous latent space (COCONUT and its successors).
//!
//! Layers, each of which may name only those below it:
//!
//! | layer | what it knows |
//! |---|---|
//! | [`cli`], `main` | the command line: how the rest is composed |
//! | [`bench`](mod@bench) | the wire from a client's side: a load generator |
//! | [`eval`] | how many questions a checkpoint answers rightly |
//! | [`probe`] | what thoughts hold, over a file of questions; no HTTP |
//! | [`reason`] | one question from text to answer; no JSON |
//! | [`engine`] | many sequences on one device; ids, no text |
//! | [`train`] | the weights: curriculum, optimiser, evaluation; no HTTP |
//! | [`latent`] | the method: recipe, thoughts, the oracle |
//! | [`model`] | weights to hidden states; no request |
//! | [`data`] | questions for training and evaluation: read and made |
//! | [`prompting`] | prompts with shots: standard, chain of thought, Act, ReAct; no model |
//! | [`tools`] | what actions do, and how calls are written in text; no model |
//! | [`hub`] | repositories of published models and the cache; not what is in the files |
//! | [`web`] | the web from a client's side: addresses, requests to one server, streams of events |
//! | [`files`] | files that others wrote: what their bytes are, text without marks |
//! | [`text`], [`metrics`] | tokenizer and incremental decoding; one typed struct of all metrics |

pub mod bench;
pub mod cli;
pub mod data;
pub mod engine;
pub mod eval;
pub mod files;
pub mod http;
pub mod hub;
pub mod latent;
pub mod metrics;
pub mod model;
pub mod probe;
pub mod prompting;
pub mod reason;
pub mod text;
pub mod tools;
pub mod train;
pub mod web;
