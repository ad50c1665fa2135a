//! What a model is computed on, by the names that operators write. The only file that knows whether this binary was built
//! for CUDA.

use candle_core::Device;
use std::fmt;
use std::str::FromStr;

/// The CPU, or one of the machine's GPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Processor {
    /// Packed weights and our own loops.
    #[default]
    Cpu,
    /// The NVIDIA GPU of this number, by candle.
    Cuda(usize),
}

/// Why a name is not that of a processor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownProcessor {
    /// No such kind.
    #[error("must be cpu, cuda or cuda:N")]
    Name,
    /// A kind that this binary cannot use.
    #[error(
        "this binary was built without CUDA; build it with `cargo build --release --features cuda`"
    )]
    NotBuilt,
}

impl FromStr for Processor {
    type Err = UnknownProcessor;

    fn from_str(name: &str) -> Result<Self, UnknownProcessor> {
        let number = match name.split_once(':') {
            None if name == "cpu" => return Ok(Self::Cpu),
            None if name == "cuda" => "0",
            Some(("cuda", number)) => number,
            _ => return Err(UnknownProcessor::Name),
        };
        let number = number.parse().map_err(|_| UnknownProcessor::Name)?;
        match cfg!(feature = "cuda") {
            true => Ok(Self::Cuda(number)),
            false => Err(UnknownProcessor::NotBuilt),
        }
    }
}

impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl Processor {
    /// Takes hold of it.
    ///
    /// # Errors
    /// If there is no such GPU, or its driver does not answer.
    pub fn open(self) -> candle_core::Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(number) => cuda(number),
        }
    }
}

#[cfg(feature = "cuda")]
fn cuda(number: usize) -> candle_core::Result<Device> {
    coconut_cuda::open(number)
}

#[cfg(not(feature = "cuda"))]
fn cuda(number: usize) -> candle_core::Result<Device> {
    Device::new_cuda(number)
}

#[cfg(test)]
mod tests {
    use super::Processor;
    use super::UnknownProcessor;

    #[test]
    fn processors_are_named_as_candle_and_torch_do() {
        assert_eq!("cpu".parse(), Ok(Processor::Cpu));
        for wrong in ["", "gpu", "cpu:0", "cuda:", "cuda:x", "cuda:-1"] {
            assert_eq!(wrong.parse::<Processor>(), Err(UnknownProcessor::Name), "{wrong}");
        }
        for (name, number) in [("cuda", 0), ("cuda:3", 3)] {
            let expected = match cfg!(feature = "cuda") {
                true => Ok(Processor::Cuda(number)),
                false => Err(UnknownProcessor::NotBuilt),
            };
            assert_eq!(name.parse(), expected);
        }
        assert_eq!(Processor::Cuda(1).to_string(), "cuda:1");
    }
}
