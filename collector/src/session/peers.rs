//! The peers of a session.

use std::collections::HashMap;

use super::peer::Peer;
use crate::bmp::{PeerHeader, PeerId};

/// The peers of a session, found by their Per-Peer Header.
#[derive(Debug, Default)]
pub(super) struct Peers {
    list: Vec<Peer>,
    index: HashMap<PeerId, usize>,
    /// Messages of a peer come in bursts: the last one is looked at first.
    last: usize,
}

impl Peers {
    /// The peer that `header` names, which becomes its latest header.
    #[inline]
    pub(super) fn get(&mut self, router: &str, header: PeerHeader) -> &mut Peer {
        let id = header.id();
        if self.list.get(self.last).is_none_or(|peer| peer.id != id) {
            self.last = *self.index.entry(id).or_insert_with(|| {
                self.list.push(Peer::new(router, header));
                self.list.len() - 1
            });
        }
        let peer = &mut self.list[self.last];
        peer.header = header;
        peer
    }

    /// How many are up.
    pub(super) fn up(&self) -> usize {
        self.list.iter().filter(|peer| peer.up).count()
    }

    /// All, in the order in which they were first heard of.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.list.iter_mut()
    }
}
