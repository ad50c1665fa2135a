//! How a GPU is taken hold of: one stream for everything, on whatever threads it is called, and memory that is kept. Knows
//! the driver, no tensor.

use candle_core::CudaDevice;
use candle_core::Device;
use candle_core::Result;
use candle_core::cuda_backend::WrapErr as _;
use candle_core::cuda_backend::cudarc::driver::result::device::get_default_mem_pool;
use candle_core::cuda_backend::cudarc::driver::sys;

/// The GPU of this number, with a stream of its own: several of them, on one GPU, compute side by side. candle's own
/// `new_cuda` has a stream for each thread instead, whose work is in no order with another's.
///
/// # Errors
/// If there is no such GPU, or its driver does not answer.
pub fn open(ordinal: usize) -> Result<Device> {
    let device = Device::new_cuda_with_stream(ordinal)?;
    let cuda = device.as_cuda_device()?;
    #[expect(
        unsafe_code,
        reason = "the device has one stream, so nothing of it is used on another"
    )]
    // SAFETY: as the reason says. Two events for each tensor, waited for at each use, would be most of the time.
    unsafe {
        cuda.disable_event_tracking();
    }
    keep_memory(cuda)?;
    Ok(device)
}

/// Memory that is freed stays with the process: the driver would give it back at every synchronisation, and map it anew.
fn keep_memory(device: &CudaDevice) -> Result<()> {
    let stream = device.cuda_stream();
    let context = stream.context();
    context.bind_to_thread().w()?;
    let mut all = u64::MAX;
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    #[expect(unsafe_code, reason = "the driver is foreign code")]
    // SAFETY: the pool is the device's own, which lives as long; the attribute is a u64 and is read before the call returns.
    unsafe {
        let pool = get_default_mem_pool(context.cu_device()).w()?;
        sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut all).cast()).result().w()
    }
}
