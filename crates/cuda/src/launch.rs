//! How a kernel is called: its arguments in the order inputs, outputs, numbers, one thread or one warp for each piece of
//! work. What its unsafe code rests on is said at each function. Knows no operation.

use candle_core::CudaDevice;
use candle_core::CudaStorage;
use candle_core::Layout;
use candle_core::Result;
use candle_core::backend::BackendStorage as _;
use candle_core::cuda_backend::WrapErr as _;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::cuda_backend::cudarc::driver::CudaView;
use candle_core::cuda_backend::cudarc::driver::LaunchConfig;
use candle_core::cuda_backend::cudarc::driver::PushKernelArg as _;
use candle_core::cuda_backend::cudarc::nvrtc::compile_ptx;
use std::sync::OnceLock;

const SOURCE: &str = include_str!("kernels.cu");
const MODULE: &str = "coconut";
const LANES: usize = 32;
/// Threads of a block.
const THREADS: usize = 256;
/// Threads of a block whose warps have memory of their own.
const FEW_THREADS: usize = 128;
/// What a block may have without asking for more.
const SHARED_BYTES: usize = 48 << 10;

/// Numbers of a tensor on a GPU, one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct Floats<'a> {
    storage: &'a CudaStorage,
    from: usize,
    to: usize,
}

impl<'a> Floats<'a> {
    /// Those of a tensor.
    ///
    /// # Errors
    /// If it is not contiguous, or not f32.
    pub fn new(storage: &'a CudaStorage, layout: &Layout) -> Result<Self> {
        storage.as_cuda_slice::<f32>()?;
        match layout.contiguous_offsets() {
            Some((from, to)) => Ok(Self { storage, from, to }),
            None => candle_core::bail!("the tensor must be contiguous"),
        }
    }

    /// All that is stored.
    pub(crate) fn all(storage: &'a CudaStorage) -> Result<Self> {
        let to = storage.as_cuda_slice::<f32>()?.len();
        Ok(Self { storage, from: 0, to })
    }

    /// How many.
    pub(crate) fn count(self) -> usize {
        self.to - self.from
    }

    pub(crate) fn device(self) -> &'a CudaDevice {
        self.storage.device()
    }

    fn view(self) -> Result<CudaView<'a, f32>> {
        Ok(self.storage.as_cuda_slice::<f32>()?.slice(self.from..self.to))
    }
}

/// What goes in.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    Floats(Floats<'a>),
    /// Copied there for this call.
    Ids(&'a [u32]),
    /// Likewise.
    Weights(&'a [f32]),
}

impl<'a> Input<'a> {
    fn place(self, device: &CudaDevice) -> Result<Placed<'a>> {
        Ok(match self {
            Self::Floats(floats) => Placed::Floats(floats.view()?),
            Self::Ids(ids) => Placed::Ids(device.clone_htod(ids)?),
            Self::Weights(weights) => Placed::Weights(device.clone_htod(weights)?),
        })
    }
}

/// Sizes and factors.
#[derive(Clone, Copy)]
pub(crate) enum Number {
    Int(usize),
    Signed(i32),
    Float(f32),
}

/// A number as a kernel takes it.
enum Word {
    Int(i32),
    Float(f32),
}

impl Number {
    fn word(self) -> Result<Word> {
        match self {
            Self::Int(count) => {
                i32::try_from(count).map(Word::Int).map_err(candle_core::Error::wrap)
            }
            Self::Signed(count) => Ok(Word::Int(count)),
            Self::Float(factor) => Ok(Word::Float(factor)),
        }
    }
}

/// How the work is dealt out.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// A thread each.
    Threads(usize),
    /// A warp each.
    Warps(usize),
    /// A warp each, with so many floats for itself.
    WarpsWithMemory(usize, usize),
    /// A block each.
    Blocks(usize),
}

impl Work {
    fn config(self) -> Result<LaunchConfig> {
        let (count, threads, each, shared) = match self {
            Self::Threads(count) => (count, THREADS, THREADS, 0),
            Self::Warps(count) => (count, THREADS, THREADS / LANES, 0),
            Self::Blocks(count) => (count, THREADS, 1, 0),
            Self::WarpsWithMemory(count, floats) => {
                let bytes = floats * size_of::<f32>();
                match (FEW_THREADS / LANES * bytes <= SHARED_BYTES, bytes <= SHARED_BYTES) {
                    (true, _) => {
                        (count, FEW_THREADS, FEW_THREADS / LANES, FEW_THREADS / LANES * bytes)
                    }
                    (false, true) => (count, LANES, 1, bytes),
                    (false, false) => candle_core::bail!(
                        "{floats} columns are more than a GPU's warp has room for"
                    ),
                }
            }
        };
        let word = |count: usize| {
            u32::try_from(count)
                .map_err(|_| candle_core::Error::Msg(format!("{count} is too many")))
        };
        Ok(LaunchConfig {
            grid_dim: (word(count.div_ceil(each))?, 1, 1),
            block_dim: (word(threads)?, 1, 1),
            shared_mem_bytes: word(shared)?,
        })
    }
}

/// An input as it lies on the GPU.
enum Placed<'a> {
    Floats(CudaView<'a, f32>),
    Ids(CudaSlice<u32>),
    Weights(CudaSlice<f32>),
}

/// Calls a kernel, which must write all of its outputs, of so many floats each, and no more, and must read no more than its
/// inputs: whoever calls this answers for it.
pub(crate) fn call<const N: usize>(
    device: &CudaDevice,
    (name, work): (&str, Work),
    inputs: &[Input<'_>],
    outputs: [usize; N],
    numbers: &[Number],
) -> Result<[CudaStorage; N]> {
    let inputs: Vec<Placed<'_>> =
        inputs.iter().map(|input| input.place(device)).collect::<Result<_>>()?;
    #[expect(unsafe_code, reason = "the kernel writes every element before anybody reads one")]
    // SAFETY: as the reason says; both are in the order of the device's stream.
    let outputs = outputs.map(|count| unsafe { device.alloc::<f32>(count) });
    let mut made = Vec::with_capacity(N);
    for output in outputs {
        made.push(output?);
    }
    let numbers: Vec<Word> = numbers.iter().map(|number| number.word()).collect::<Result<_>>()?;
    let function = device.get_or_load_custom_func(name, MODULE, ptx()?)?;
    let mut arguments = function.builder();
    for input in &inputs {
        match input {
            Placed::Floats(floats) => arguments.arg(floats),
            Placed::Ids(ids) => arguments.arg(ids),
            Placed::Weights(weights) => arguments.arg(weights),
        };
    }
    for output in &mut made {
        arguments.arg(output);
    }
    for number in &numbers {
        match number {
            Word::Int(count) => arguments.arg(count),
            Word::Float(factor) => arguments.arg(factor),
        };
    }
    let config = work.config()?;
    #[expect(unsafe_code, reason = "kernels are foreign code")]
    // SAFETY: the arguments are those of the kernel's signature, of the sizes that its numbers say (see above).
    unsafe { arguments.launch(config) }.w()?;
    drop(arguments);
    let storages: Vec<CudaStorage> =
        made.into_iter().map(|made| CudaStorage::wrap_cuda_slice(made, device.clone())).collect();
    storages.try_into().map_err(|_| candle_core::Error::Msg("outputs are lost".to_owned()))
}

/// The kernels as the driver takes them, compiled once.
fn ptx() -> Result<&'static str> {
    static PTX: OnceLock<std::result::Result<String, String>> = OnceLock::new();
    let compiled = PTX.get_or_init(|| match compile_ptx(SOURCE) {
        Ok(ptx) => Ok(ptx.to_src()),
        Err(error) => Err(format!("{error:?}")),
    });
    compiled.as_deref().map_err(|error| candle_core::Error::Msg(format!("kernels: {error}")))
}
