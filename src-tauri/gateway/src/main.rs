//! The gateway without a desktop.

fn main() -> std::process::ExitCode {
    picgate_gateway::cli::run()
}
