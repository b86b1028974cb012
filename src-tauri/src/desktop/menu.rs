//! What the tray's menu says for what is going on. Pure: the tray itself is in `tray`.

use picgate_gateway::shell::Page;

use super::words::Language;

/// How the gateway is, as the icon shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// It runs and draws nothing.
    #[default]
    Idle,
    /// It draws.
    Busy,
    /// New requests are refused.
    Paused,
    /// It does not run.
    Error,
}

/// How far the gateway is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Not there yet.
    #[default]
    Starting,
    /// It serves.
    Serving,
    /// It serves until so many drawings are done.
    Quitting,
    /// The same, and a newer version takes its place then.
    Updating,
    /// It is taken down, and none comes after it.
    Ending,
    /// It did not start.
    Failed,
    /// It runs and does not answer.
    Silent,
}

/// Everything that the menu depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// In which language.
    pub language: Language,
    /// How far it is.
    pub condition: Condition,
    /// New requests are refused.
    pub paused: bool,
    /// Where it listens.
    pub port: u16,
    /// Pictures since midnight.
    pub today: u32,
    /// Drawings under way.
    pub running: usize,
    /// There is a latest picture.
    pub has_link: bool,
    /// It starts at login, as the system says.
    pub autostart: bool,
}

/// What a line does when it is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Nothing: it tells.
    Status,
    /// Opens a window.
    Open(Page),
    /// Copies the base URL.
    CopyUrl,
    /// Copies the key.
    CopyKey,
    /// Copies the latest picture's link.
    CopyLink,
    /// Pauses, or goes on.
    Pause,
    /// Starts at login, or not.
    Autostart,
    /// Shows the data folder.
    OpenData,
    /// Starts the gateway once more, or the whole program.
    Again,
    /// Ends.
    Quit,
}

impl Command {
    const ALL: [Self; 15] = [
        Self::Status,
        Self::Open(Page::Dashboard),
        Self::Open(Page::Settings),
        Self::Open(Page::Cache),
        Self::Open(Page::Gallery),
        Self::Open(Page::Logs),
        Self::Open(Page::About),
        Self::CopyUrl,
        Self::CopyKey,
        Self::CopyLink,
        Self::Pause,
        Self::Autostart,
        Self::OpenData,
        Self::Again,
        Self::Quit,
    ];

    /// Its stable word, which the menu hands back.
    pub fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Open(page) => page.word(),
            Self::CopyUrl => "copy-url",
            Self::CopyKey => "copy-key",
            Self::CopyLink => "copy-link",
            Self::Pause => "pause",
            Self::Autostart => "autostart",
            Self::OpenData => "open-data",
            Self::Again => "again",
            Self::Quit => "quit",
        }
    }

    /// The command of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.word() == word)
    }
}

/// A line of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line between groups.
    Rule,
    /// Something to choose.
    Item {
        /// What it does.
        command: Command,
        /// What it says.
        text: String,
        /// It can be chosen.
        enabled: bool,
        /// It has a check mark, and whether that is set.
        checked: Option<bool>,
    },
}

impl View {
    /// How the icon looks.
    pub fn mood(&self) -> Mood {
        match self.condition {
            Condition::Failed | Condition::Silent => Mood::Error,
            Condition::Starting | Condition::Ending => Mood::Idle,
            Condition::Serving if self.paused => Mood::Paused,
            Condition::Serving if self.running == 0 => Mood::Idle,
            Condition::Serving | Condition::Quitting | Condition::Updating => Mood::Busy,
        }
    }

    /// What is going on, in one line: the menu's first, and the tooltip where there is one.
    pub fn status(&self) -> String {
        let words = self.language.words();
        match self.condition {
            Condition::Starting => words.starting.into(),
            Condition::Failed => words.failed.into(),
            Condition::Silent => words.silent.into(),
            Condition::Quitting => self.language.quitting(self.running),
            Condition::Updating => self.language.updating(self.running),
            Condition::Ending => words.ending.into(),
            Condition::Serving if self.paused => self.language.paused(self.port, self.running),
            Condition::Serving => self.language.status(self.port, self.today, self.running),
        }
    }

    /// The menu, from top to bottom.
    pub fn lines(&self) -> Vec<Line> {
        let words = self.language.words();
        let serves = matches!(self.condition, Condition::Serving | Condition::Quitting | Condition::Updating);
        let item = |command, text: &str, enabled| Line::Item { command, text: text.to_owned(), enabled, checked: None };
        let page = |page| item(Command::Open(page), words.page(page), serves);
        let mut lines = vec![item(Command::Status, &self.status(), false)];
        match self.condition {
            Condition::Failed => lines.push(item(Command::Again, words.try_again, true)),
            Condition::Silent => lines.push(item(Command::Again, words.restart, true)),
            _ => {}
        }
        lines.push(Line::Rule);
        lines.extend([Page::Dashboard, Page::Settings, Page::Cache, Page::Gallery, Page::Logs].map(page));
        lines.push(Line::Rule);
        lines.push(item(Command::CopyUrl, words.copy_url, serves));
        lines.push(item(Command::CopyKey, words.copy_key, serves));
        lines.push(item(Command::CopyLink, words.copy_link, serves && self.has_link));
        lines.push(Line::Rule);
        let pause = if self.paused { words.resume } else { words.pause };
        lines.push(item(Command::Pause, pause, self.condition == Condition::Serving));
        let checked = Some(self.autostart);
        lines.push(Line::Item { command: Command::Autostart, text: words.autostart.to_owned(), enabled: true, checked });
        lines.push(item(Command::OpenData, words.open_data, true));
        lines.push(Line::Rule);
        lines.push(page(Page::About));
        lines.push(item(Command::Quit, words.quit, true));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serving() -> View {
        View { language: Language::English, condition: Condition::Serving, port: 5643, today: 12, ..View::default() }
    }

    fn texts(view: &View) -> Vec<String> {
        let text = |line| if let Line::Item { text, .. } = line { text } else { "–".into() };
        view.lines().into_iter().map(text).collect()
    }

    fn can(view: &View, wanted: Command) -> bool {
        view.lines().iter().any(|line| matches!(line, Line::Item { command, enabled: true, .. } if *command == wanted))
    }

    #[test]
    fn the_first_line_tells_what_is_going_on() {
        assert_eq!(texts(&serving())[0], "Port 5643 · 12 today · idle");
        assert_eq!(texts(&View { running: 2, ..serving() })[0], "Port 5643 · 12 today · 2 running");
        assert_eq!(texts(&View { paused: true, running: 1, ..serving() })[0], "Paused · 1 still running");
        assert_eq!(texts(&View { language: Language::Chinese, ..serving() })[0], "端口 5643 · 今日 12 张 · 空闲");
    }

    #[test]
    fn the_icon_tells_the_same() {
        assert_eq!(serving().mood(), Mood::Idle);
        assert_eq!(View { running: 1, ..serving() }.mood(), Mood::Busy);
        assert_eq!(View { running: 1, paused: true, ..serving() }.mood(), Mood::Paused);
        assert_eq!(View { condition: Condition::Failed, ..serving() }.mood(), Mood::Error);
    }

    #[test]
    fn a_gateway_that_failed_can_be_tried_again_and_nothing_opens() {
        let failed = View { condition: Condition::Failed, ..serving() };
        assert!(can(&failed, Command::Again) && can(&failed, Command::Quit) && can(&failed, Command::OpenData));
        assert!(!can(&failed, Command::Open(Page::Gallery)) && !can(&failed, Command::CopyKey) && !can(&failed, Command::Pause));
        assert!(!can(&serving(), Command::Again));
    }

    #[test]
    fn while_a_newer_version_is_installed_nothing_new_can_begin() {
        let updating = View { condition: Condition::Updating, paused: true, running: 2, ..serving() };
        assert_eq!(texts(&updating)[0], "Installs the newer version after 2 running drawings");
        assert!(!can(&updating, Command::Pause));
        assert!(can(&updating, Command::Open(Page::Gallery)), "pictures can be looked at meanwhile");
        assert_eq!(texts(&View { running: 0, ..updating })[0], "Installing the newer version…");
    }

    #[test]
    fn while_it_ends_nothing_opens_and_nothing_is_tried_again() {
        let ending = View { condition: Condition::Ending, ..serving() };
        assert_eq!(texts(&ending)[0], "Ending…");
        assert!(!can(&ending, Command::Open(Page::Gallery)) && !can(&ending, Command::Pause) && !can(&ending, Command::Again));
    }

    #[test]
    fn the_last_link_is_offered_only_when_there_is_one() {
        assert!(!can(&serving(), Command::CopyLink));
        assert!(can(&View { has_link: true, ..serving() }, Command::CopyLink));
    }

    #[test]
    fn every_line_is_found_by_its_word() {
        let failed = View { condition: Condition::Failed, ..serving() };
        for line in failed.lines() {
            if let Line::Item { command, .. } = line {
                assert_eq!(Command::of_word(command.word()), Some(command));
            }
        }
        assert_eq!(Command::of_word("setup"), None);
    }
}
