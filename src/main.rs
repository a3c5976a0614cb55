//! tepui: argv in, exit code out.
use clap::Parser;
#[derive(clap::Parser)]
enum C {
    Dev(tepui::cli::daemon::DevArgs),
    Node(tepui::cli::daemon::NodeArgs),
    #[command(subcommand)]
    Config(tepui::cli::daemon::ConfigCommand),
}
fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(match C::parse() {
        C::Dev(a) => tepui::cli::daemon::dev(&a),
        C::Node(a) => tepui::cli::daemon::node(&a),
        C::Config(c) => tepui::cli::daemon::config(&c),
    })
}
