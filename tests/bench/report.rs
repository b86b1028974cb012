//! What comes out: a table with targets, and for each that is not reached a sentence on why.

use std::{fmt::Write as _, io::Write as _, path::Path};

use crate::{machine, reasons::REASONS};

/// Where results stand.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/bench");

pub const METHOD: &str = "\
Everything runs on one machine over loopback: an upstream that only writes prepared bytes, the *floor* (a program that \
does only the unavoidable: it decodes the picture while it arrives, writes a file, renames it and answers with a link; \
with and without fdatasync and SHA-256), the release build of the gateway with its default settings, and the driver. \
All compete for the same cores. The variants take turns within each round (A B C A B C …); ratios are taken within a \
round, and medians of rounds are shown, so that a machine that is slow for a while is slow for all. Overhead is the time \
of an answer minus that of the same answer asked of the upstream directly. Every answer holds a picture of its own, so \
nothing is saved by knowing it already; it cannot be decoded, so that no thumbnail is made, except where it says so. \
Samples are fetched from their links and compared by SHA-256. Memory is `RssAnon`, looked at every 2 ms. Processor time \
is that of `/proc/PID/stat`, with what is done after the answer.";

pub const CLOUD_METHOD: &str = "\
Everything runs on one machine over loopback, on one disk: the release build of the gateway, an S3 server (s3s-fs) as a \
process of its own, and the driver. 10,000 different images of 200 KB are drawn without a bucket, then the gateway starts \
again with one. *Plain* is the same two calls for each image (PUT and HEAD, with the same SDK, four images at a time) by a \
program that does nothing else: no database, no digest; measured before and after. Memory is `RssAnon`, looked at every 2 \
ms, against the same gateway at rest with the same rows. The admin's answers are those of the pages Overview, Gallery, \
Jobs and Cache, in turns. An image that comes back was cleared from disk before each round; the bucket is asked directly in \
the same round.";

/// Speaks while the run goes on.
pub fn say(text: &str) {
    // A closed pipe is the reader's business.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The middle one.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 50.0)
}

/// The value below which `percent` of all lie.
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len().saturating_sub(1) as f64 * percent / 100.0).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// The median of the ratios within each round.
pub fn ratio_of(values: &[f64], to: &[f64]) -> f64 {
    let ratios: Vec<f64> = values.iter().zip(to).map(|(v, t)| v / t).collect();
    median(&ratios)
}

/// One line of the table.
pub struct Row {
    what: String,
    gateway: String,
    beside: String,
    measured: String,
    target: String,
    reached: Option<bool>,
}

impl Row {
    /// A target that must not be exceeded.
    pub fn at_most(what: &str, gateway: String, beside: &str, value: f64, target: f64, unit: &str) -> Self {
        Self::new(what, gateway, beside, value, format!("≤ {target} {unit}"), unit, value <= target)
    }

    /// A target that must be reached.
    pub fn at_least(what: &str, gateway: String, beside: &str, value: f64, target: f64, unit: &str) -> Self {
        Self::new(what, gateway, beside, value, format!("≥ {target} {unit}"), unit, value >= target)
    }

    fn new(what: &str, gateway: String, beside: &str, value: f64, target: String, unit: &str, reached: bool) -> Self {
        let measured = format!("{value:.2} {unit}");
        Self { what: what.into(), gateway, beside: beside.into(), measured, target, reached: Some(reached) }
    }

    /// Something without a target.
    pub fn note(what: &str, gateway: String, beside: &str) -> Self {
        let none = || "–".to_owned();
        Self { what: what.into(), gateway, beside: beside.into(), measured: none(), target: none(), reached: None }
    }

    fn line(&self) -> String {
        let reached = match self.reached {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "–",
        };
        format!("| {} | {} | {} | {} | {} | {reached} |", self.what, self.gateway, self.beside, self.measured, self.target)
    }
}

/// Everything that was found.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    /// Requests that failed under load.
    pub errors: usize,
    /// Which nginx it was.
    pub nginx: String,
    checked: usize,
    unequal: usize,
}

impl Report {
    pub fn row(&mut self, row: Row) {
        say(&row.line());
        self.rows.push(row);
    }

    /// A picture that was compared with its source.
    pub fn check(&mut self, equal: bool) {
        self.checked += 1;
        self.unequal += usize::from(!equal);
    }

    fn table(&self) -> String {
        let mut text = "| what | gateway | beside it | measured | target | reached |\n|---|---|---|---|---|---|\n".to_owned();
        let correct = Row {
            what: "errors under load, pictures that differ from their source".into(),
            gateway: format!("{} errors, {} of {} compared differ", self.errors, self.unequal, self.checked),
            beside: "–".into(),
            measured: (self.errors + self.unequal).to_string(),
            target: "0".into(),
            reached: Some(self.errors + self.unequal == 0),
        };
        for row in self.rows.iter().chain([&correct]) {
            let _ = writeln!(text, "{}", row.line());
        }
        text
    }

    fn reasons(&self) -> String {
        let missed: Vec<&Row> = self.rows.iter().filter(|row| row.reached == Some(false)).collect();
        if missed.is_empty() {
            return "All targets were reached.\n".into();
        }
        let reason =
            |row: &Row| REASONS.iter().find(|(name, _)| row.what.starts_with(name)).map_or("not looked into yet.", |(_, why)| *why);
        missed.iter().map(|row| format!("- **{}** ({}): {}\n", row.what, row.measured, reason(row))).collect()
    }

    /// To the terminal.
    pub fn print(&self) {
        say(&format!("\n{}\n{}", self.table(), self.reasons()));
    }

    /// To the file that stands beside this program.
    pub fn write(&self, file: &str, command: &str, method: &str) {
        let date = time::OffsetDateTime::now_utc().date();
        let nginx = if self.nginx.is_empty() { String::new() } else { format!(", {}", self.nginx) };
        let text = format!(
            "# Benchmark\n\nWritten by `{command}`; not edited by hand.\n\n{date}: {}{nginx}.\n\n{method}\n\n{}\n## Not reached\n\n{}",
            machine::description(),
            self.table(),
            self.reasons()
        );
        std::fs::write(Path::new(FOLDER).join(file), text).expect("writes the results");
        say(&format!("written: tests/bench/{file}"));
    }
}
