//! What the desktop app is started with, and what a second start asks of the one that runs.

use clap::{Args, CommandFactory, FromArgMatches};

use super::Line;
use crate::{config::Config, logbook::Lines, shell::Page};

/// Flags of the desktop app; a binary without one does not know them.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct AppFlags {
    /// Start without a window, as at login
    #[arg(long)]
    pub(super) hidden: bool,
    /// Open the window of this page: dashboard, settings, cache, gallery, logs or about
    #[arg(long, value_name = "PAGE")]
    pub(super) open: Option<Page>,
}

/// What the desktop app begins with.
#[derive(Debug)]
pub struct AppStart {
    /// Fixed at start.
    pub config: Config,
    /// Lines of the log.
    pub lines: Lines,
    /// Without a window.
    pub hidden: bool,
    /// The page whose window is asked for.
    pub open: Option<Page>,
}

/// What a second start asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppAsked {
    /// No window.
    pub hidden: bool,
    /// The page whose window is asked for.
    pub open: Option<Page>,
}

/// Which program this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Headless,
    Desktop,
}

const FOR_THE_APP: [&str; 2] = ["hidden", "open"];

impl Binary {
    /// The command line of this binary.
    pub(super) fn command(self) -> clap::Command {
        match self {
            Self::Headless => {
                let hide = |command: clap::Command, name| command.mut_arg(name, |arg: clap::Arg| arg.hide(true));
                FOR_THE_APP.into_iter().fold(Line::command(), hide)
            }
            Self::Desktop => Line::command().name("picgate").after_help(examples()),
        }
    }

    /// Reads the arguments of this process; ends it if they are wrong or ask for help.
    pub(super) fn parse(self) -> Line {
        let mut command = self.command();
        let matches = command.get_matches_mut();
        let line = Line::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit());
        if self == Self::Headless && (line.app.hidden || line.app.open.is_some()) {
            let text = "--hidden and --open belong to the desktop app; this program has no windows";
            command.error(clap::error::ErrorKind::ArgumentConflict, text).exit();
        }
        line
    }
}

/// What the arguments of a second start ask for; `None` if they ask for something else than the app.
pub fn asked(arguments: &[String]) -> Option<AppAsked> {
    let matches = Binary::Desktop.command().try_get_matches_from(arguments).ok()?;
    let line = Line::from_arg_matches(&matches).ok()?;
    line.command.is_none().then_some(AppAsked { hidden: line.app.hidden, open: line.app.open })
}

/// The same examples for the desktop's binary, where the gateway alone is a command; columns stay where they are.
fn examples() -> String {
    super::EXAMPLES
        .replace("picgate-headless key", "picgate key         ")
        .replace("picgate-headless backup pictures.tar", "picgate backup pictures.tar         ")
        .replace("picgate-headless  ", "picgate serve     ")
        .replace("picgate-headless", "picgate serve")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(line: &str) -> Option<AppAsked> {
        asked(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_second_start_says_what_it_wants() {
        assert_eq!(ask("picgate"), Some(AppAsked::default()));
        assert_eq!(ask("picgate --hidden"), Some(AppAsked { hidden: true, open: None }));
        assert_eq!(ask("picgate --open gallery --port 5650"), Some(AppAsked { hidden: false, open: Some(Page::Gallery) }));
    }

    #[test]
    fn what_is_no_page_and_what_is_no_app_asks_for_nothing() {
        assert_eq!(ask("picgate --open cellar"), None);
        assert_eq!(ask("picgate serve"), None);
    }
}
