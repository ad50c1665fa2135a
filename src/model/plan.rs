//! What a transformer is made of: which parameters, under which names, and what is done with them. Each architecture
//! states it once; the chain of tensors (`chain`) and the packed form for the CPU (`host`) are built from it. Knows no
//! numbers.

use crate::model::parameters::Stored;
use coconut_kernels::activation::Activation;

/// A whole model.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The name of the embedding (V, D).
    pub(crate) embedding: &'static str,
    /// The name of learned positions (T, D); `None` where queries and keys are rotated.
    pub(crate) positions: Option<&'static str>,
    pub(crate) blocks: Vec<BlockPlan>,
    pub(crate) norm: NormPlan,
    /// `None` where the embedding serves as head.
    pub(crate) head: Option<LinearPlan>,
    /// `None` where hidden states are fed back as they are.
    pub(crate) projector: Option<ProjectorPlan>,
}

/// `x += attention_out(attention(qkv(norm_1(x))))`, then `x += down(feed_forward(norm_2(x)))`.
#[derive(Clone, Debug)]
pub(crate) struct BlockPlan {
    pub(crate) norm_1: NormPlan,
    /// Queries, keys and values: one product with all three side by side, or three.
    pub(crate) qkv: Vec<LinearPlan>,
    /// Norms of each head's query and key, where the architecture has them.
    pub(crate) head_norms: Option<[NormPlan; 2]>,
    pub(crate) attention_out: LinearPlan,
    pub(crate) norm_2: NormPlan,
    /// With a gate: activation(gate) * up; without: activation(up).
    pub(crate) gate: Option<LinearPlan>,
    pub(crate) up: LinearPlan,
    pub(crate) activation: Activation,
    pub(crate) down: LinearPlan,
}

/// CODI's projector: norm(down(activation(up(h)))), or the same without the norm.
#[derive(Clone, Debug)]
pub(crate) struct ProjectorPlan {
    pub(crate) up: LinearPlan,
    pub(crate) activation: Activation,
    pub(crate) down: LinearPlan,
    pub(crate) norm: Option<NormPlan>,
}

/// A matrix product: `NAME.weight`, and `NAME.bias` where it has one.
#[derive(Clone, Debug)]
pub(crate) struct LinearPlan {
    pub(crate) name: String,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) stored: Stored,
    pub(crate) bias: bool,
}

/// A norm: `NAME.weight`, and `NAME.bias` where it shifts.
#[derive(Clone, Debug)]
pub(crate) struct NormPlan {
    pub(crate) name: String,
    pub(crate) width: usize,
    pub(crate) eps: f64,
    pub(crate) kind: NormKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NormKind {
    /// Mean and variance, scale and shift.
    Layer,
    /// Root mean square, scale.
    Rms,
}

impl Plan {
    /// Number of weights outside the tables of tokens and positions.
    pub(crate) fn parameters(&self) -> usize {
        let blocks = self.blocks.iter().map(BlockPlan::parameters);
        let projector = self.projector.as_ref().map(ProjectorPlan::parameters);
        let head = self.head.as_ref().map(LinearPlan::parameters);
        sum(blocks.chain([self.norm.parameters()]).chain(projector).chain(head))
    }
}

impl BlockPlan {
    fn parameters(&self) -> usize {
        let linears = [&self.attention_out, &self.up, &self.down];
        let linears = linears.into_iter().chain(&self.qkv).chain(&self.gate);
        let norms = [&self.norm_1, &self.norm_2];
        let norms = norms.into_iter().chain(self.head_norms.iter().flatten());
        sum(linears.map(LinearPlan::parameters).chain(norms.map(NormPlan::parameters)))
    }
}

impl ProjectorPlan {
    fn parameters(&self) -> usize {
        let norm = self.norm.as_ref().map(NormPlan::parameters);
        sum([self.up.parameters(), self.down.parameters()].into_iter().chain(norm))
    }
}

/// Of numbers that may come from a hostile config.json.
fn sum(numbers: impl IntoIterator<Item = usize>) -> usize {
    numbers.into_iter().fold(0, usize::saturating_add)
}

impl LinearPlan {
    pub(crate) fn weight(&self) -> String {
        format!("{}.weight", self.name)
    }

    pub(crate) fn bias(&self) -> Option<String> {
        self.bias.then(|| format!("{}.bias", self.name))
    }

    /// Number of weights.
    fn parameters(&self) -> usize {
        let biases = if self.bias { self.outputs } else { 0 };
        self.inputs.saturating_mul(self.outputs).saturating_add(biases)
    }
}

impl NormPlan {
    pub(crate) fn weight(&self) -> String {
        format!("{}.weight", self.name)
    }

    pub(crate) fn bias(&self) -> Option<String> {
        (self.kind == NormKind::Layer).then(|| format!("{}.bias", self.name))
    }

    /// Number of weights.
    fn parameters(&self) -> usize {
        match self.kind {
            NormKind::Layer => 2 * self.width,
            NormKind::Rms => self.width,
        }
    }
}
