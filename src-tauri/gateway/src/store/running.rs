//! The note in a data folder that says where its gateway listens, for who asks from outside, such as the doctor. A gateway
//! that was killed leaves it behind, so it is believed only of a gateway that answers there.

use std::{fs, io, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{folder::Layout, probe_key::ProbeKey};

/// Longest note that is read, in bytes.
const NOTE_MAX: u64 = 1024;

/// Where a gateway listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The first of its addresses.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
    /// By which whoever reads the folder proves that to the gateway.
    #[serde(default)]
    pub probe_key: Option<ProbeKey>,
}

fn path(layout: &Layout) -> PathBuf {
    layout.root.join("running.json")
}

impl Running {
    /// This process, listening at `address`.
    pub fn here(address: SocketAddr, probe_key: ProbeKey) -> Self {
        Self { address, pid: std::process::id(), probe_key: Some(probe_key) }
    }

    /// What the folder says.
    pub fn read(layout: &Layout) -> Option<Self> {
        let path = path(layout);
        fs::metadata(&path).ok().filter(|meta| meta.len() <= NOTE_MAX)?;
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Says so in the folder.
    pub(super) fn write(self, layout: &Layout) -> io::Result<()> {
        fs::write(path(layout), serde_json::to_vec(&self)?)
    }

    /// Takes it back.
    pub(super) fn remove(layout: &Layout) {
        let _ = fs::remove_file(path(layout));
    }
}
