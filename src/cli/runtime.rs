//! Where futures of the commands run.

use anyhow::Context as _;
use std::future::Future;
use tokio::runtime::Runtime;

/// Runs a future to its end, and ends with it: whatever it left running in the background is not waited for.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = Runtime::new().context("cannot start the async runtime")?;
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    Ok(result)
}
