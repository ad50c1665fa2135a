//! The settings of the engine.

/// How much the engine takes on.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Most sequences that take part in steps.
    pub max_running: usize,
    /// Most requests that wait.
    pub max_queued: usize,
    /// Most rows of a step.
    pub rows_per_step: usize,
    /// KV memory.
    pub kv: KvBudget,
    /// Threads that compute; one per physical core where `None`.
    pub threads: Option<usize>,
}

/// How much KV memory there is.
#[derive(Clone, Copy, Debug)]
pub enum KvBudget {
    /// This many positions.
    Positions(usize),
    /// As many positions as fit into this many bytes.
    Bytes(usize),
}
