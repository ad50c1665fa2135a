//! The `coconut` command.

use coconut::cli::Cli;
use coconut::cli::Told;
use coconut::cli::in_words;
use std::io::ErrorKind;
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match Cli::from_process().run() {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has enough of it, as `head` has.
        Err(error) if is_broken_pipe(&error) => ExitCode::FAILURE,
        Err(error) if error.is::<Told>() => ExitCode::FAILURE,
        Err(error) => {
            // If even standard error is closed, there is nobody left to tell.
            let _ = std::io::stderr().write_all(in_words(&error).as_bytes());
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kinds = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    kinds.map(std::io::Error::kind).any(|kind| kind == ErrorKind::BrokenPipe)
}
