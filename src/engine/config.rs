//! The engine's settings. Knows numbers, not where they come from.

use coconut_kernels::attend::layer::KvType;

/// The most that a count among the settings may be: beyond, nothing gets faster, and books are kept for each.
pub const MAX_SETTING: usize = 1 << 16;

/// Settings of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Most sequences that take part in steps at once.
    pub max_running: usize,
    /// Most requests that wait for admission; one more is refused.
    pub max_queued: usize,
    /// Most rows of one step; prefill takes what latent steps and answers leave.
    pub rows_per_step: usize,
    /// Size of the KV memory.
    pub kv: KvBudget,
    /// How it keeps numbers.
    pub kv_type: KvType,
    /// Whether requests that begin alike share what they begin with.
    pub prefix_cache: PrefixCache,
}

/// Whether prompts and thoughts are computed once for all requests that have them in common, running or ended. It
/// changes answers by no more than rounding; a client can tell from times and counts whether somebody asked the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrefixCache {
    /// They are kept in KV memory as long as no admission needs the room.
    #[default]
    On,
    /// Every request computes everything.
    Off,
}

/// Size of the KV memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvBudget {
    /// In positions.
    Positions(usize),
    /// In bytes, for keys and values of all layers.
    Bytes(usize),
}

impl KvBudget {
    /// The budget in whole positions, for a model that takes `bytes_per_position`.
    pub fn positions(self, bytes_per_position: usize) -> usize {
        match self {
            Self::Positions(positions) => positions,
            Self::Bytes(bytes) => bytes / bytes_per_position.max(1),
        }
    }
}

impl EngineConfig {
    /// How many requests that belong together may be accepted at a time: they can take all places among the running, and
    /// never the whole queue, in which others wait as well.
    pub(crate) fn share(&self) -> usize {
        self.max_running.min(self.max_queued.div_ceil(2))
    }

    /// The first setting that is out of its bounds.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let counts = [
            ("max_running", self.max_running),
            ("max_queued", self.max_queued),
            ("rows_per_step", self.rows_per_step),
        ];
        match counts.into_iter().find(|(_, count)| !(1..=MAX_SETTING).contains(count)) {
            Some((name, _)) => Err(name),
            None => Ok(()),
        }
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            max_running: 32,
            max_queued: 256,
            rows_per_step: 256,
            kv: KvBudget::Bytes(1 << 30),
            kv_type: KvType::F32,
            prefix_cache: PrefixCache::On,
        }
    }
}
