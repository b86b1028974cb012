//! What the gateway costs: measured against a direct call, against a program that does only the unavoidable, and
//! against nginx, in turns within one run. Does nothing unless it is told to with `--run`.

mod bucket;
mod children;
mod cloud;
mod floor;
mod history;
mod http;
mod machine;
mod mock;
mod pictures;
mod procfs;
mod reasons;
mod relaying;
mod report;
mod serving;
mod texts;

use std::{process::ExitCode, time::Duration};

use children::{Bench, Gateway};
use report::Report;

/// The same for copies in a bucket.
const LONGEST_CLOUD: Duration = Duration::from_secs(560);

/// Longest run in all; a watchdog ends everything then.
const LONGEST: Duration = Duration::from_secs(350);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--child", "mock"] => mock::run(),
        ["--child", "bucket", folder] => bucket::run(folder.into()),
        ["--child", "floor", upstream, folder, fsync, sha256] => {
            floor::run(upstream.parse().expect("an address"), folder.into(), *fsync == "true", *sha256 == "true");
        }
        // Test runners start every program that they find; only who asks for figures waits for them.
        words if words.contains(&"--cloud") => {
            children::watch(LONGEST_CLOUD);
            let (bench, mut report) = (Bench::start(), Report::default());
            cloud::measure(&bench, &mut report);
            report.print();
            if !words.contains(&"--keep-results") {
                report.write("CLOUD.md", "make bench-cloud", report::CLOUD_METHOD);
            }
        }
        words if words.contains(&"--run") => {
            children::watch(LONGEST);
            measure(words.contains(&"--keep-results"));
        }
        _ => {}
    }
    ExitCode::SUCCESS
}

/// All parts, each with gateways of its own where memory counts.
fn measure(keep_results: bool) {
    let bench = Bench::start();
    let mut report = Report::default();
    let began = std::time::Instant::now();
    let step = |name: &str| report::say(&format!("[{:>5.1} s] {name}", began.elapsed().as_secs_f64()));
    step("start and rest");
    machine::start(&bench, &mut report);
    let gateway = Gateway::start(&bench, "main");
    step("one at a time");
    relaying::one_at_a_time(&bench, &gateway, &mut report);
    step("many at once");
    relaying::many_at_once(&bench, &gateway, &mut report);
    step("history");
    history::overhead(&bench, &gateway, &mut report);
    step("text");
    texts::first_byte(&gateway, &mut report);
    texts::one_stream(&bench, &gateway, &mut report);
    texts::many_streams(&bench, &gateway, &mut report);
    step("serving");
    serving::against_nginx(&bench, &gateway, &mut report);
    drop(gateway);
    step("memory");
    relaying::memory(&bench, &mut report);
    history::memory(&bench, &mut report);
    step("done");
    report.print();
    if !keep_results {
        report.write("RESULTS.md", "make bench", report::METHOD);
    }
}
