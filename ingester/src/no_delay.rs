//! TCP_NODELAY on the connections to the database.
//!
//! sqlx 0.9.0 leaves Nagle's algorithm (RFC 1122, section 4.2.3.4) on. The end of a
//! COPY is a small segment behind another to which the server does not answer, so
//! that it waits for the server's delayed ACK: 40 ms for every COPY. sqlx shows its
//! socket to nobody; it is found here by the kernel's tables. Where these cannot be
//! read, or are not Linux's, nothing is set and nothing is lost but time.

use std::{
    fs,
    os::fd::{BorrowedFd, RawFd},
};

use socket2::SockRef;
use sqlx::postgres::PgConnectOptions;

/// The connections of this network namespace, by address family.
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/// Sets it on every connection of this process to the database's port.
pub(crate) fn set(options: &PgConnectOptions) {
    if options.get_socket().is_some() {
        return;
    }
    let port = options.get_port();
    let tables = TABLES.map(|table| fs::read_to_string(table).unwrap_or_default());
    let inodes: Vec<&str> = tables
        .iter()
        .flat_map(|table| table.lines())
        .filter_map(|line| inode(line, port))
        .collect();
    for fd in sockets(&inodes) {
        #[expect(unsafe_code, reason = "sqlx lends its socket to nobody")]
        // SAFETY: the number was just read from this process's open files, and the borrow ends
        // with one system call, which touches no memory. If another thread has closed the socket
        // meanwhile and the number is another's, an option is set that is harmless on any socket
        // and refused on anything else.
        let socket = unsafe { BorrowedFd::borrow_raw(fd) };
        if let Err(error) = SockRef::from(&socket).set_tcp_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was not set on a connection to the database");
        }
    }
}

/// The inode of a connection to `port`, of a line of the kernel's table:
/// `sl local_address rem_address st tx_queue:rx_queue tr:when retrnsmt uid timeout inode …`.
fn inode(line: &str, port: u16) -> Option<&str> {
    let mut columns = line.split_ascii_whitespace();
    let (_, remote) = columns.nth(2)?.rsplit_once(':')?;
    (u16::from_str_radix(remote, 16) == Ok(port)).then(|| columns.nth(6)).flatten()
}

/// The open files of this process that are sockets of these inodes.
fn sockets(inodes: &[&str]) -> Vec<RawFd> {
    let Ok(files) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    files
        .flatten()
        .filter_map(|file| {
            let target = fs::read_link(file.path()).ok()?;
            let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            inodes.contains(&inode).then(|| file.file_name().to_str()?.parse().ok()).flatten()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn connections_to_the_port_and_no_others() {
        let database = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind("[::1]:0").unwrap();
        let to_database = TcpStream::connect(database.local_addr().unwrap()).unwrap();
        let to_other = TcpStream::connect(other.local_addr().unwrap()).unwrap();
        let options = |listener: &TcpListener| {
            PgConnectOptions::new_without_pgpass().port(listener.local_addr().unwrap().port())
        };

        set(&options(&database));
        assert!(to_database.nodelay().unwrap());
        assert!(!to_other.nodelay().unwrap());

        set(&options(&other));
        assert!(to_other.nodelay().unwrap());
    }
}
