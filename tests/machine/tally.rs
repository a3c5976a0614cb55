//! What was looked at by a program that is no test of cargo's, and whether it held.

use std::process::ExitCode;

/// A line for each thing looked at, and their numbers.
#[derive(Default)]
pub struct Tally {
    n_passed: u32,
    n_failed: u32,
}

impl Tally {
    pub fn check(&mut self, what: &str, held: anyhow::Result<()>) {
        match held {
            Ok(()) => {
                self.n_passed += 1;
                println!("ok: {what}");
            }
            Err(error) => {
                self.n_failed += 1;
                println!("FAILED: {what}: {error:#}");
            }
        }
    }

    /// Says the numbers; what the program ends with.
    pub fn end(self) -> ExitCode {
        println!("{} passed, {} failed", self.n_passed, self.n_failed);
        if self.n_failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
