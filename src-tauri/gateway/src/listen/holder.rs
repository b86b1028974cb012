//! Which process listens on a port, if the system tells us. Linux does in /proc; elsewhere a library knows the calls.

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// What it is called.
    pub name: String,
}

/// Who listens on `port`; `None` if the system does not tell us, as for other people's processes.
#[cfg(target_os = "linux")]
pub fn of(port: u16) -> Option<Holder> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let holds = |pid: u32| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut targets = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        targets.any(|target| target.to_str().is_some_and(|target| inodes.iter().any(|inode| inode == target)))
    };
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let pid = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(|pid| holds(*pid))?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned();
    Some(Holder { pid, name })
}

/// Who listens on `port`; `None` if the system does not tell us.
#[cfg(not(target_os = "linux"))]
pub fn of(port: u16) -> Option<Holder> {
    use listeners::{Protocol, SocketState};
    let all = listeners::get_all().ok()?.into_iter();
    let mut here = all.filter(|it| it.socket.port() == port && it.protocol == Protocol::TCP && it.state == SocketState::Listen);
    here.next().map(|it| Holder { pid: it.process.pid, name: it.process.name })
}

/// The inodes of sockets that listen on `port`, from the text of `/proc/net/tcp`.
#[cfg(any(target_os = "linux", test))]
fn listening(table: &str, port: u16) -> Vec<u64> {
    /// `TCP_LISTEN` of the kernel.
    const LISTEN: &str = "0A";
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let fits = u16::from_str_radix(local, 16).ok()? == port && *fields.get(3)? == LISTEN;
        fields.get(9)?.parse().ok().filter(|_| fits)
    };
    table.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:160B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n\
            1: 0100007F:160B 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1\n\
            2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0\n\
            broken";
        assert_eq!(listening(table, 5643), [4711]);
        assert_eq!(listening(table, 22), [4713]);
        assert!(listening(table, 1).is_empty());
    }
}
