//! What the app costs: memory of its processes, time to the tray and to a window. Run by `make bench-desktop` in a release
//! build; writes tests/bench/DESKTOP.md.

use std::{
    fmt::Write as _,
    fs,
    time::{Duration, Instant},
};

use crate::{
    desk::{App, Desk},
    eventually,
};

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/bench/DESKTOP.md");

/// Windows that are opened and closed one after the other.
const CYCLES: usize = 20;

/// Starts of the whole app.
const STARTS: usize = 7;

/// Until processes have done what they put off.
const REST: Duration = Duration::from_secs(4);

const TITLE: &str = "Gallery – PicGate";

/// Proportional set size of everything that came of this desktop's app, in MB, and of each program by name.
fn memory(desk: &Desk) -> (f64, String) {
    let mut parts: Vec<(String, f64)> = Vec::new();
    for (pid, name) in desk.processes() {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
        let megabytes = line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0;
        match parts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += megabytes,
            None => parts.push((name, megabytes)),
        }
    }
    let shown = parts.iter().map(|(name, megabytes)| format!("{name} {megabytes:.0}")).collect::<Vec<_>>().join(", ");
    (parts.iter().map(|(_, megabytes)| megabytes).sum(), shown)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Opens the gallery from the tray: ms until its window is there, and until something is painted in it.
async fn open(desk: &Desk, app: &App<'_>) -> (f64, f64) {
    let began = Instant::now();
    app.choose("Gallery").await;
    desk.window(TITLE).await;
    let there = began.elapsed();
    eventually("a painted window", async || desk.is_painted().then_some(())).await;
    (there.as_secs_f64() * 1000.0, began.elapsed().as_secs_f64() * 1000.0)
}

async fn close(desk: &Desk) {
    desk.close(TITLE).await;
    eventually("the web view's end", async || desk.processes().iter().all(|(_, name)| !name.starts_with("WebKitWebProces")).then_some(()))
        .await;
}

/// ms from the start of the process to the tray's item, and to a gateway that serves.
async fn start(desk: &Desk) -> (App<'_>, f64, f64) {
    let began = Instant::now();
    let app = desk.start(&["--hidden"]);
    eventually("the tray", async || desk.bus.menu()).await;
    let tray = began.elapsed();
    app.menu().await;
    (app, tray.as_secs_f64() * 1000.0, began.elapsed().as_secs_f64() * 1000.0)
}

#[tokio::test]
#[ignore = "measures; make bench-desktop runs it in a release build"]
async fn figures() {
    let (mut trays, mut serving) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let desk = Desk::new().expect("the tools that .ci/setup test installs");
        let (_app, tray, served) = start(&desk).await;
        trays.push(tray);
        serving.push(served);
    }
    let desk = Desk::new().expect("the tools that .ci/setup test installs");
    let (app, ..) = start(&desk).await;
    app.gateway().await.draw("a cat that is measured").await;
    let mut rows = String::new();
    let mut row = async |what: &str| {
        tokio::time::sleep(REST).await;
        let (sum, parts) = memory(&desk);
        let _ = writeln!(rows, "| {what} | {sum:.0} MB | {parts} |");
        eprintln!("{what}: {sum:.1} MB ({parts})");
        sum
    };
    row("tray only").await;
    let (cold, cold_painted) = open(&desk, &app).await;
    row("one window").await;
    close(&desk).await;
    row("after closing it").await;
    let (mut opened, mut painted, mut second) = (Vec::new(), Vec::new(), 0.0);
    for cycle in 2..=CYCLES {
        let (there, full) = open(&desk, &app).await;
        opened.push(there);
        painted.push(full);
        close(&desk).await;
        if cycle == 2 {
            second = row("after 2 cycles").await;
        } else if cycle % 5 == 0 && cycle < CYCLES {
            row(&format!("after {cycle} cycles")).await;
        }
    }
    let last = row(&format!("after {CYCLES} cycles")).await;
    let growth = (last - second) / (CYCLES - 2) as f64;
    let size = fs::metadata(desk.program()).expect("the program").len() as f64 / 1e6;
    let text = format!(
        "# The desktop app in figures\n\nWritten by `make bench-desktop`: the release build on a desktop without a graphics card (Xvfb, one processor \
         shared by all). Memory is the proportional set size (PSS) of the app and the web view's processes, {} s after the event; the window \
         is the gallery with one drawing.\n\n| state | PSS | of which (MB) |\n|---|---|---|\n{rows}\n\
         Growth from the second to the last cycle: {growth:.2} MB a cycle.\n\n| time | median | longest |\n|---|---|---|\n\
         | start to the tray's icon | {:.0} ms | {:.0} ms |\n| start to a gateway that serves | {:.0} ms | {:.0} ms |\n\
         | first window: there, painted | {cold:.0} ms, {cold_painted:.0} ms | |\n| later windows: there | {:.0} ms | {:.0} ms |\n\
         | later windows: painted | {:.0} ms | {:.0} ms |\n\nThe program's file: {size:.1} MB.\n",
        REST.as_secs(),
        median(&trays),
        trays.iter().copied().fold(0.0, f64::max),
        median(&serving),
        serving.iter().copied().fold(0.0, f64::max),
        median(&opened),
        opened.iter().copied().fold(0.0, f64::max),
        median(&painted),
        painted.iter().copied().fold(0.0, f64::max),
    );
    eprintln!("{text}");
    if std::env::var_os("PICGATE_KEEP_RESULTS").is_none() {
        fs::write(RESULTS, text).expect("writes");
    }
}
