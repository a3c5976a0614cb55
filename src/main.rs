//! tepui: argv in, exit code out.

use std::{io::IsTerminal as _, process::ExitCode};

use tepui::{base::clock::SystemClock, cli};

/// The C library's costs a tenth more of a proxied request's processor time (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // With huge pages a process as small as an agent holds a third more memory and is no faster. A
    // kernel that knows no such switch is no reason not to start.
    let _ = nix::sys::prctl::set_thp_disable(true);
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let terminal = [stdin.is_terminal(), stdout.is_terminal(), stderr.is_terminal()];
    #[allow(clippy::disallowed_methods)] // the edge of the program
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let io = cli::Io {
        stdin: Box::new(stdin),
        stdout: Box::new(stdout),
        stderr: Box::new(stderr),
        terminal,
        env: variables.collect(),
        cwd: std::env::current_dir().unwrap_or_default(),
        system_files: true,
        clock: SystemClock::shared(),
    };
    ExitCode::from(cli::main(std::env::args_os(), io))
}
