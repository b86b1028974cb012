//! The gateway inside the app: starts it, knows how far it is, and takes it down.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use picgate_gateway::{
    config::Config,
    logbook::Lines,
    server::{Gateway, Handle},
    shell::Shell,
};

use super::{menu::Condition, trouble::Trouble};

/// How long a gateway may take to end whose running drawings are given up.
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

    /// Starts it, or says why that failed.
    pub async fn start(&self, shell: Arc<dyn Shell>) -> Result<Handle, Trouble> {
        let config = {
            let mut state = self.state();
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
        let mut state = self.state();
        match result {
            Ok(gateway) => {
                let handle = gateway.handle();
                state.gateway = Some(gateway);
                state.handle = Some(handle.clone());
                state.condition = Condition::Serving;
                Ok(handle)
            }
            Err(trouble) => {
                tracing::error!(why = %trouble.text(), "the gateway did not start");
                state.condition = Condition::Failed;
                Err(trouble)
            }
        }
    }

    /// It answers, or it does not; whether that is news.
    pub fn set_answers(&self, answers: bool) -> bool {
        let mut state = self.state();
        let next = match (&state.condition, answers) {
            (Condition::Serving, false) => Condition::Silent,
            (Condition::Silent, true) => Condition::Serving,
            _ => return false,
        };
        state.condition = next;
        true
    }

    /// It ends as soon as its drawings are done, or goes on after all.
    pub fn set_quitting(&self, quitting: bool) {
        let mut state = self.state();
        match (&state.condition, quitting) {
            (Condition::Serving, true) => state.condition = Condition::Quitting,
            (Condition::Quitting, false) => state.condition = Condition::Serving,
            _ => {}
        }
    }

    /// Drawings under way.
    pub fn running(&self) -> usize {
        self.handle().map_or(0, |handle| handle.running())
    }

    /// Takes the gateway down; the second call has nothing to do. What runs is finished first, unless it is given up.
    pub async fn stop(&self, give_up: bool) {
        let gateway = {
            let mut state = self.state();
            state.handle = None;
            state.gateway.take()
        };
        let Some(gateway) = gateway else { return };
        if !give_up {
            gateway.stop().await;
        } else if tokio::time::timeout(GIVING_UP, gateway.stop()).await.is_err() {
            tracing::warn!("running drawings were given up");
        }
    }
}
