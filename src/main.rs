//! The `coconut` command.

use coconut::cli::Cli;
use coconut::cli::advice;
use coconut::cli::said;
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match Cli::from_process().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If even standard error is closed, there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "error: {}", said(&error));
            if let Some(advice) = advice(&error) {
                let _ = writeln!(std::io::stderr(), "next:  {advice}");
            }
            ExitCode::FAILURE
        }
    }
}
