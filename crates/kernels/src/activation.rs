//! The non-linearities of feed-forward blocks, by name. Knows no formula: `math` has those for slices, and whoever computes
//! with tensors has its own.

/// The non-linearity of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// GELU by the tanh approximation (`gelu_new` of GPT-2).
    GeluTanh,
    /// GELU by the error function.
    GeluErf,
    /// x * sigmoid(x)
    Silu,
}

impl Activation {
    /// By the names that config.json uses.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "gelu_new" | "gelu_pytorch_tanh" => Some(Self::GeluTanh),
            "gelu" => Some(Self::GeluErf),
            "silu" | "swish" => Some(Self::Silu),
            _ => None,
        }
    }
}
