//! Why the gateway did not start, and what a person can do about it.

use picgate_gateway::{listen::PortInUse, server::StartError};

use super::words::Language;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Another program has the port.
    Port(PortInUse),
    /// Anything else, in the gateway's words.
    Other(String),
}

impl Trouble {
    /// What became of a start.
    pub fn of(error: &StartError) -> Self {
        match error {
            StartError::PortInUse(taken) => Self::Port(taken.clone()),
            other => Self::Other(other.to_string()),
        }
    }

    /// Something that is no error of the gateway's.
    pub fn other(text: String) -> Self {
        Self::Other(text)
    }

    /// For the log.
    pub fn text(&self) -> String {
        self.words(Language::English)
    }

    /// For a person.
    pub fn words(&self, language: Language) -> String {
        match self {
            Self::Port(taken) => {
                let holder = match (&taken.holder, taken.is_picgate) {
                    (Some(holder), true) => Some(format!("PicGate ({}, {})", holder.name, holder.pid)),
                    (Some(holder), false) => Some(format!("{} ({})", holder.name, holder.pid)),
                    (None, true) => Some("PicGate".to_owned()),
                    (None, false) => None,
                };
                language.port_taken(taken.address.port(), holder.as_deref(), taken.next_free)
            }
            Self::Other(text) => language.not_started(text),
        }
    }

    /// The port that can be taken instead.
    pub fn free_port(&self) -> Option<u16> {
        if let Self::Port(taken) = self { taken.next_free } else { None }
    }
}
