//! A change of the TCP-AO key within a session (RFC 5925, 6.1).
//!
//! Each side says in its segments with which key it wants to be answered, and uses that with
//! which the other wants to be. The kernel does the second by itself. The first is ours: a router
//! that wants another key is asked to use it too, or would use the old one for as long as the
//! session lasts.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use super::{ao::SET_RNEXT, option};

/// `TCP_AO_INFO` of `linux/tcp.h`.
const OPTION: libc::c_int = 40;
/// Size of a `struct tcp_ao_info_opt`.
const SIZE: usize = 48;

/// What a key is called in segments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    /// In those that we send.
    pub(super) send: u8,
    /// In those that the router sends.
    pub(super) receive: u8,
}

/// Follows a router's changes.
#[derive(Debug)]
pub struct Rollover {
    keys: Vec<Ids>,
    /// The session's.
    socket: OwnedFd,
}

impl Rollover {
    /// None, where there is nothing to change to.
    pub(super) fn new(keys: Vec<Ids>, socket: &impl AsFd) -> Option<Self> {
        if keys.len() < 2 {
            return None;
        }
        match socket.as_fd().try_clone_to_owned() {
            Ok(socket) => Some(Self { keys, socket }),
            Err(error) => {
                tracing::warn!(%error, "a router's changes of its TCP-AO key are not followed");
                None
            }
        }
    }

    /// Asks the router for the key that it asks for. Says which, by our SendID, where that is
    /// another than before.
    pub fn follow(&self) -> io::Result<Option<u8>> {
        let InUse { send, receive } = in_use(&self.socket)?;
        let wanted = self.keys.iter().find(|key| key.send == send);
        let Some(wanted) = wanted.filter(|key| key.receive != receive) else { return Ok(None) };
        ask_for(&self.socket, wanted.receive)?;
        Ok(Some(send))
    }
}

/// Which keys a connection uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InUse {
    /// The SendID of that which its segments are signed with.
    pub send: u8,
    /// The RecvID of that which it asks for.
    pub receive: u8,
}

/// Which keys a connection uses.
pub fn in_use(socket: &impl AsFd) -> io::Result<InUse> {
    let mut info = [0; SIZE];
    option::get(socket, OPTION, &mut info)?;
    Ok(InUse { send: info[6], receive: info[7] })
}

/// Asks the other side of a connection for the key of this RecvID.
pub fn ask_for(socket: &impl AsFd, receive: u8) -> io::Result<()> {
    let mut info = [0; SIZE];
    info[0] = SET_RNEXT;
    info[7] = receive;
    option::set(socket, OPTION, &info)
}
