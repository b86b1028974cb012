//! The gateway inside the app: starts it, knows how far it is, and takes it down.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use picgate_gateway::{
    config::Config,
    logbook::Lines,
    server::{Gateway, Handle, Newsreader},
    shell::Shell,
};

use super::{menu::Condition, trouble::Trouble};

/// How long a gateway may take to end: 30 s are for its drawings, the rest for what it writes then.
const STOPPING: Duration = Duration::from_secs(45);

/// The same where running drawings are given up.
const GIVING_UP: Duration = Duration::from_secs(3);

/// The gateway's life in this process.
pub struct Host {
    lines: Lines,
    state: Mutex<State>,
}

struct State {
    config: Config,
    condition: Condition,
    gateway: Option<Gateway>,
    handle: Option<Handle>,
}

impl Host {
    /// One that has not started.
    pub fn new(config: Config, lines: Lines) -> Self {
        let state = State { config, condition: Condition::Starting, gateway: None, handle: None };
        Self { lines, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is.
    pub fn condition(&self) -> Condition {
        self.state().condition.clone()
    }

    /// The gateway, while there is one.
    pub fn handle(&self) -> Option<Handle> {
        self.state().handle.clone()
    }

    /// What it is configured with.
    pub fn config(&self) -> Config {
        self.state().config.clone()
    }

    /// Takes another port, until the program ends.
    pub fn use_port(&self, port: u16) {
        self.state().config.port = port;
    }

    /// Starts it, with all its news from the first moment on, or says why that failed; `None` once it was told to stop.
    pub async fn start(&self, shell: Arc<dyn Shell>) -> Option<Result<(Handle, Newsreader), Trouble>> {
        let config = {
            let mut state = self.state();
            if state.condition == Condition::Ending {
                return None;
            }
            state.condition = Condition::Starting;
            state.config.clone()
        };
        let lines = self.lines.clone();
        // In a task of its own, so that a panic in it is a failure like others.
        let started = tokio::spawn(async move { Gateway::start_in_shell(&config, Some(lines), Some(shell)).await }).await;
        let result = match started {
            Ok(Ok(gateway)) => Ok(gateway),
            Ok(Err(error)) => Err(Trouble::of(&error)),
            Err(error) => Err(Trouble::other(error.to_string())),
        };
        {
            let mut state = self.state();
            match result {
                result if state.condition == Condition::Ending => state.gateway = result.ok(),
                Ok(gateway) => {
                    let handle = gateway.handle();
                    // Before anybody can know that it serves.
                    let news = handle.subscribe();
                    state.gateway = Some(gateway);
                    state.handle = Some(handle.clone());
                    state.condition = Condition::Serving;
                    return Some(Ok((handle, news)));
                }
                Err(trouble) => {
                    tracing::error!(why = %trouble.text(), "the gateway did not start");
                    state.condition = Condition::Failed;
                    return Some(Err(trouble));
                }
            }
        }
        // Told to stop meanwhile, it goes as it came.
        self.stop(true).await;
        None
    }

    /// It answers, or it does not; whether that is news.
    pub fn set_answers(&self, answers: bool) -> bool {
        self.change(Change::Answers(answers))
    }

    /// It ends as soon as its drawings are done, or goes on after all.
    pub fn set_quitting(&self, quitting: bool) {
        self.change(Change::Quitting(quitting));
    }

    /// A newer version takes its place as soon as its drawings are done, or it goes on after all; whether that is news.
    pub fn set_updating(&self, updating: bool) -> bool {
        self.change(Change::Updating(updating))
    }

    fn change(&self, change: Change) -> bool {
        let mut state = self.state();
        let Some(next) = next(&state.condition, change) else { return false };
        state.condition = next;
        true
    }

    /// Drawings under way.
    pub fn running(&self) -> usize {
        self.handle().map_or(0, |handle| handle.running())
    }

    /// Takes the gateway down, and none starts from now on; the second call has nothing to do. What comes back is done when it has
    /// ended. What runs is finished first, unless it is given up.
    pub fn stop(&self, give_up: bool) -> impl Future<Output = ()> {
        let gateway = {
            let mut state = self.state();
            state.condition = Condition::Ending;
            state.handle = None;
            state.gateway.take()
        };
        async move {
            if let Some(gateway) = gateway {
                take_down(gateway, give_up).await;
            }
        }
    }
}

async fn take_down(gateway: Gateway, give_up: bool) {
    let bound = if give_up { GIVING_UP } else { STOPPING };
    if tokio::time::timeout(bound, gateway.stop()).await.is_err() {
        tracing::warn!(give_up, "the gateway did not end in time; what was running is lost");
    }
}

/// What is heard of a gateway that runs.
#[derive(Clone, Copy)]
enum Change {
    Answers(bool),
    Quitting(bool),
    Updating(bool),
}

/// What becomes of it then, if anything.
fn next(present: &Condition, change: Change) -> Option<Condition> {
    match (present, change) {
        (Condition::Serving, Change::Answers(false)) => Some(Condition::Silent),
        (Condition::Silent, Change::Answers(true))
        | (Condition::Quitting, Change::Quitting(false))
        | (Condition::Updating, Change::Updating(false)) => Some(Condition::Serving),
        // One that does not answer may draw all the same.
        (Condition::Serving | Condition::Silent | Condition::Updating, Change::Quitting(true)) => Some(Condition::Quitting),
        (Condition::Serving | Condition::Silent, Change::Updating(true)) => Some(Condition::Updating),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_does_not_answer_can_finish_and_quit() {
        assert_eq!(next(&Condition::Silent, Change::Quitting(true)), Some(Condition::Quitting));
        assert_eq!(next(&Condition::Quitting, Change::Answers(false)), None, "the order stands");
        assert_eq!(next(&Condition::Quitting, Change::Quitting(false)), Some(Condition::Serving));
    }

    #[test]
    fn an_update_gives_way_to_a_quit_and_not_the_other_way_round() {
        assert_eq!(next(&Condition::Updating, Change::Quitting(true)), Some(Condition::Quitting));
        assert_eq!(next(&Condition::Quitting, Change::Updating(true)), None);
        assert_eq!(next(&Condition::Quitting, Change::Updating(false)), None);
    }

    #[test]
    fn nothing_becomes_of_a_gateway_that_is_taken_down() {
        for change in [Change::Answers(true), Change::Quitting(true), Change::Quitting(false), Change::Updating(true)] {
            assert_eq!(next(&Condition::Ending, change), None);
        }
    }
}
