//! What is measured on, and what the gateway takes before anybody asks for anything.

use std::{fs, process::Command, thread, time::Duration};

use crate::{
    children::{Bench, Gateway},
    procfs::anonymous_kb,
    report::{Report, Row, median},
};

/// Start to ready, and memory at rest.
pub fn start(bench: &Bench, report: &mut Report) {
    let (mut ready, mut idle) = (Vec::new(), Vec::new());
    let first = Gateway::start(bench, "start").ready;
    for _ in 0..5 {
        let gateway = Gateway::start(bench, "start");
        ready.push(gateway.ready.as_secs_f64() * 1000.0);
        thread::sleep(Duration::from_millis(300));
        idle.push(anonymous_kb(gateway.pid()) as f64 / 1024.0);
    }
    let (ready, idle) = (median(&ready), median(&idle));
    let against = format!("{:.0} ms in an empty folder", first.as_secs_f64() * 1000.0);
    report.row(Row::at_most("start to ready", format!("{ready:.0} ms"), &against, ready, 50.0, "ms"));
    report.row(Row::at_most("anonymous memory at rest", format!("{idle:.1} MB"), "–", idle, 12.0, "MB"));
}

fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim_start_matches([':', '\t', ' ']).trim().to_owned()
}

/// The machine in one sentence.
pub fn description() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let kb: f64 = field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0.0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rustc = Command::new("rustc").arg("--version").output().map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    format!(
        "{} with {cores} cores, {:.0} GB of memory, Linux {}, {}",
        field("/proc/cpuinfo", "model name"),
        kb / 1024.0 / 1024.0,
        kernel.trim(),
        rustc.unwrap_or_else(|_| "rustc unknown".into())
    )
}
