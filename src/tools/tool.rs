//! What a built-in tool is to the set that runs it. Knows no tool, and not on which thread one runs.

use crate::tools::call::Call;
use crate::tools::call::Declaration;
use crate::tools::lookup::bookmark::Bookmark;
use std::sync::Arc;
use std::time::Instant;

/// Something that answers calls. It may compute, or wait for the network, but not beyond the deadline for long.
pub trait Tool: Send + Sync {
    /// The actions that it has.
    fn declarations(&self) -> Vec<Declaration>;

    /// Does one of them. The reason why it cannot is for the model.
    ///
    /// # Errors
    /// Why there is no result.
    fn run(&self, call: &Call, given: &mut Given, deadline: Instant) -> Result<String, String>;
}

/// What a tool knows of the request besides the call, and what it remembers from one call to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// What came with the question for tools to know.
    pub facts: Option<Arc<str>>,
    /// Which page was opened last, and where in it one is.
    pub bookmark: Bookmark,
}
