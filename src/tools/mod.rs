//! What actions do, and how calls of them are written in text. Knows no model, no engine and no route: who says the calls,
//! and who is told what came of them, is the caller's business.
//!
//! ```
//! use coconut::tools::call::Argument;
//! use coconut::tools::call::Call;
//! use coconut::tools::call::Observation;
//! use coconut::tools::react::ReactForm;
//! use coconut::tools::react::Said;
//! use coconut::tools::set::ToolSet;
//! use coconut::tools::tool::Given;
//! use std::time::Duration;
//! use std::time::Instant;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tools = ToolSet::parse(&["calculator".to_owned()])?;
//!
//! // What a model said behind `Thought 1:`.
//! let said = " I need the number of rolls first.\nAction 1: calculator[14*18]\n";
//! let form = ReactForm::react();
//! let Said::Call { action, argument, .. } = form.read(form.opens_with(), said, false) else {
//!     panic!("the second line is an action");
//! };
//!
//! let call = Call { name: action, argument: Argument::Text(argument) };
//! let deadline = Instant::now() + Duration::from_secs(60);
//! let observed = tools.run(&call, &mut Given::default(), deadline).await;
//! assert_eq!(observed, Observation::found("252"));
//! assert_eq!(form.observation(1, &observed.text), "Observation 1: 252\n");
//! # Ok(())
//! # }
//! ```

pub mod calculator;
pub mod call;
pub mod facts;
pub mod fetch;
pub mod form;
pub mod graph;
pub mod lookup;
#[cfg(feature = "mcp")]
pub mod mcp;
pub mod react;
pub mod set;
#[cfg(test)]
mod set_tests;
pub mod tool;
