//! What the kernel knows of a process: processor time and memory.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// `USER_HZ`, which is 100 on every Linux.
const MS_PER_TICK: f64 = 10.0;

/// Between two looks at memory.
const INTERVAL: Duration = Duration::from_millis(2);

fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// Processor time of a process and its children that are alive, in ms.
pub fn cpu_ms(pid: u32) -> f64 {
    let own = |pid| {
        let fields = stat(pid)?;
        Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
    };
    let ticks: f64 = children(pid).into_iter().chain([pid]).filter_map(own).sum();
    ticks * MS_PER_TICK
}

fn children(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|fields| fields.get(1).is_some_and(|p| *p == parent.to_string()))).collect()
}

/// Anonymous memory in KB: heap and stacks, not what is only mapped from files.
pub fn anonymous_kb(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    value.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// Watches the memory of a process.
pub struct Sampler {
    stop: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Sampler {
    pub fn start(pid: u32) -> Self {
        let (stop, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, highest) = (stop.clone(), peak.clone());
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                highest.fetch_max(anonymous_kb(pid), Ordering::Relaxed);
                thread::sleep(INTERVAL);
            }
        });
        Self { stop, peak, thread }
    }

    /// The highest figure since the start, in KB.
    pub fn peak_kb(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the sampler ends");
        self.peak.load(Ordering::Relaxed)
    }
}
