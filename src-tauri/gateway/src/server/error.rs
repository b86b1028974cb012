//! Why a gateway does not start.

use std::{io, net::SocketAddr};

use crate::{
    account::AccountError,
    listen::PortInUse,
    providers::ProviderError,
    store::{DbError, FolderError, SecretsError},
};

/// Why the gateway does not start. The texts are for people.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The file of keys.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The upstreams.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The admin account that the environment asks for.
    #[error("the admin account cannot be made: {0}")]
    Account(#[from] AccountError),
    /// The address.
    #[error("{address} cannot be listened on: {source}\n  remedy: {remedy}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// The port is taken.
    #[error("{0}")]
    PortInUse(PortInUse),
    /// What fetches pictures of other servers.
    #[error("pictures of other servers cannot be fetched: {0}")]
    Fetcher(String),
    /// The image folder.
    #[error("the folder of images cannot be used: {0}")]
    Files(#[source] io::Error),
}

impl StartError {
    /// The command that gives us the data folder, if that is what is wrong.
    pub fn chown(&self) -> Option<&str> {
        match self {
            Self::Folder(error) => error.chown(),
            _ => None,
        }
    }
}
