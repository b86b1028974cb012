//! `picgate doctor`: what was found, a line each, and what mends it.

use std::process::ExitCode;

use clap::Args;

use super::{ServeFlags, say};
use crate::{
    config::{Config, ConfigProblem},
    doctor::{Patient, Report, State, examine},
};

/// How it is told.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct DoctorFlags {
    #[command(flatten)]
    pub(super) serve: ServeFlags,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// In which language [default: PICGATE_LANGUAGE, or that of the terminal]
    #[arg(long, value_name = "LANGUAGE", value_parser = ["zh", "en"])]
    language: Option<String>,
}

impl DoctorFlags {
    fn chinese(&self) -> bool {
        self.language.as_ref().map_or_else(super::words::chinese, |language| language == "zh")
    }
}

/// Examines and tells; 1 if something failed.
pub(super) async fn run(flags: DoctorFlags, config: Result<Config, Vec<ConfigProblem>>) -> ExitCode {
    // Fails only if it was done before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chinese = flags.chinese();
    let report = match &config {
        Ok(config) => examine(Patient { config, secrets: None, port: config.port, probe_key: None }, chinese).await,
        Err(problems) => Report::of_problems(problems, chinese),
    };
    if flags.json {
        say(&serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        tell(&report, chinese);
    }
    if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(report: &Report, chinese: bool) {
    let counted = |state: State| report.findings.iter().filter(|finding| finding.state == state).count();
    for finding in &report.findings {
        let mark = match finding.state {
            State::Ok => "✓",
            State::Note => "·",
            State::Warning => "!",
            State::Failed => "✗",
        };
        let colon = if chinese { "：" } else { ": " };
        say(&format!("{mark} {}{colon}{}", finding.name, finding.text));
        if let Some(remedy) = &finding.remedy {
            say(&format!("    → {remedy}"));
        }
    }
    let (failed, warnings) = (counted(State::Failed), counted(State::Warning));
    say("");
    say(&match (failed, warnings, chinese) {
        (0, 0, true) => "一切正常。".to_owned(),
        (0, 0, false) => "All is well.".to_owned(),
        (_, _, true) => format!("{failed} 项有问题，{warnings} 项需要留意。"),
        (_, _, false) => format!("Failed: {failed}. To be looked at: {warnings}."),
    });
}
