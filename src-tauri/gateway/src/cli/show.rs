//! How far long work is, on the error output: one line that is written over at a terminal, now and then a line elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// Pause between two lines at a terminal.
const AT_TERMINAL: Duration = Duration::from_millis(200);

/// Pause elsewhere.
const ELSEWHERE: Duration = Duration::from_secs(10);

/// See the module.
pub struct Show {
    terminal: bool,
    last: Instant,
    shown: bool,
}

impl Show {
    /// Nothing is shown yet.
    pub fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), last: Instant::now(), shown: false }
    }

    /// Shows `line`, if it is time again.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        let pause = if self.terminal { AT_TERMINAL } else { ELSEWHERE };
        if self.last.elapsed() < pause {
            return;
        }
        self.last = Instant::now();
        // Who does not listen does not hinder the work.
        let _ = if self.terminal { write!(io::stderr(), "\r\x1b[K{}", line()) } else { writeln!(io::stderr(), "{}", line()) };
        let _ = io::stderr().flush();
        self.shown = self.terminal;
    }

    /// Clears the line.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
