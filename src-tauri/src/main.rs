//! PicGate with a tray icon and windows. The command line is the gateway's own; what is left for the app goes to `desktop`.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod desktop;

fn main() -> std::process::ExitCode {
    picgate_gateway::cli::run_with_app(desktop::run)
}
