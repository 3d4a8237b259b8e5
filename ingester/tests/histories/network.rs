//! The router, its sessions, and what of them reaches the topic.
//!
//! The router knows everything and writes to each of its sessions in order. What a
//! session has been sent waits in its queue until its collector publishes it.

use std::collections::VecDeque;

use bytes::Bytes;
use ribstream_ingester::rows::Told;
use ribstream_proto::v1::{Event, PeerDownReason};

use crate::{
    common::START,
    events::{body, identity},
    history::{History, Stamps},
};

/// Peers of the router: the first has two families, the second two views and path identifiers.
pub(crate) const PEERS: usize = 2;
/// Routes that a peer may have, in two tables.
pub(crate) const ROUTES: usize = 6;
/// Tables of a peer.
pub(crate) const TABLES: usize = 2;
/// Versions that a route may have.
pub(crate) const VERSIONS: u8 = 3;

/// The table that a route is in.
pub(crate) fn table_of(route: usize) -> usize {
    route / (ROUTES / TABLES)
}

/// The version of a route in a table that a peer comes up with, two bits a route.
pub(crate) fn version_in(table: u16, route: usize) -> Option<u8> {
    u8::try_from((table >> (2 * route)) & 3).unwrap().checked_sub(1)
}

/// What a message says of a route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    pub(crate) route: usize,
    /// The router's change that it tells: greater than those of all changes before.
    pub(crate) change: u32,
    /// The version; none withdraws.
    pub(crate) version: Option<u8>,
}

/// What a message says.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Up {
        told: Told,
        /// Greater than that of all before.
        number: u32,
        /// Tables whose dump has nothing that ends it.
        endless: [bool; TABLES],
    },
    /// For this reason.
    Down(PeerDownReason),
    Route {
        word: Word,
        dump: bool,
    },
    /// The dump of a table is over.
    Over(usize),
}

/// A message of the router.
#[derive(Clone, Debug)]
struct Message {
    peer: usize,
    said: Said,
    stamp: Option<u64>,
}

/// How a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Alive,
    /// It goes on, and its collector does not get through.
    Stalled,
    /// Its collector was killed.
    Dead,
    Ended,
}

/// A BMP session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) collector: usize,
    pub(crate) state: State,
    /// It counts as ended because nothing is heard of it.
    pub(crate) silent: bool,
    queue: VecDeque<Message>,
    sequence: u64,
    counts: [u64; PEERS],
    up: [bool; PEERS],
}

impl Session {
    /// What it has not published of a peer.
    pub(crate) fn waiting(&self, peer: usize) -> impl Iterator<Item = &Said> {
        self.queue.iter().filter(move |it| it.peer == peer).map(|it| &it.said)
    }
}

/// A route that a peer holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    version: u8,
    change: u32,
    stamp: u64,
}

/// A peer as the router has it.
#[derive(Clone, Debug, Default)]
struct Truth {
    up: bool,
    /// When it came up.
    since: u64,
    held: [Option<Held>; ROUTES],
}

/// What has reached the topic.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// Which of the sessions.
    pub(crate) session: usize,
    pub(crate) peer: usize,
    pub(crate) said: Said,
    pub(crate) event: Event,
}

/// The router and its sessions.
#[derive(Debug)]
pub(crate) struct Network {
    stamps: Stamps,
    end_of_rib: bool,
    leaves_out: bool,
    router: String,
    clock: u64,
    /// The collectors' clock.
    time: u64,
    /// Number of the latest change.
    pub(crate) change: u32,
    peers: [Truth; PEERS],
    pub(crate) sessions: Vec<Session>,
}

impl Network {
    pub(crate) fn new(history: &History, router: &str) -> Self {
        Self {
            stamps: history.stamps,
            end_of_rib: history.end_of_rib,
            // Where timestamps do not tell versions apart, what is left out cannot be told.
            leaves_out: history.leaves_out && !history.stamps.are_coarse(),
            router: router.to_owned(),
            clock: START,
            time: START,
            change: 0,
            peers: [Truth::default(), Truth::default()],
            sessions: Vec::new(),
        }
    }

    pub(crate) fn is_up(&self, peer: usize) -> bool {
        self.peers[peer].up
    }

    /// What a peer holds of a route.
    pub(crate) fn held(&self, peer: usize, route: usize) -> Option<u8> {
        self.peers[peer].held[route].map(|held| held.version)
    }

    /// Which change made a held route as it is.
    pub(crate) fn changed(&self, peer: usize, route: usize) -> Option<u32> {
        self.peers[peer].held[route].map(|held| held.change)
    }

    /// The open session at a collector.
    pub(crate) fn at(&self, collector: usize) -> Option<usize> {
        self.sessions.iter().position(|it| {
            it.collector == collector && matches!(it.state, State::Alive | State::Stalled)
        })
    }

    /// Time goes by.
    pub(crate) fn pass(&mut self) {
        self.clock += 300_000;
    }

    fn stamp(&self, of_change: u64) -> Option<u64> {
        match self.stamps {
            Stamps::None => None,
            Stamps::OfChange => Some(of_change),
            Stamps::WhenWritten => Some(self.clock),
            Stamps::WholeSeconds => Some(of_change / 1_000_000 * 1_000_000),
        }
    }

    /// The stamp of a Peer Up: where it is of the change, in whole seconds, as FRR has it.
    fn stamp_of_up(&self, peer: usize) -> Option<u64> {
        match self.stamps {
            Stamps::OfChange | Stamps::WholeSeconds => {
                Some(self.peers[peer].since / 1_000_000 * 1_000_000)
            }
            Stamps::None | Stamps::WhenWritten => self.stamp(self.clock),
        }
    }

    pub(crate) fn announce(&mut self, peer: usize, route: usize, version: u8) {
        if !self.peers[peer].up {
            return;
        }
        self.change += 1;
        let held = Held { version, change: self.change, stamp: self.clock };
        self.peers[peer].held[route] = Some(held);
        self.tell(peer, Word { route, change: self.change, version: Some(version) });
    }

    /// Withdraws a route, whether the peer holds it or not.
    pub(crate) fn withdraw(&mut self, peer: usize, route: usize) {
        if self.peers[peer].up {
            self.change += 1;
            self.peers[peer].held[route] = None;
            self.tell(peer, Word { route, change: self.change, version: None });
        }
    }

    /// Withdraws a route of a peer that is down.
    pub(crate) fn stray(&mut self, peer: usize, route: usize) {
        if !self.peers[peer].up {
            let word = Word { route, change: self.change, version: None };
            for session in self.open() {
                // One that has said nothing of the peer would take it for a sign of life.
                if self.sessions[session].up[peer]
                    || self.sessions[session].counts[peer] > 0
                    || self.sessions[session].waiting(peer).next().is_some()
                {
                    self.send(
                        session,
                        peer,
                        Said::Route { word, dump: false },
                        self.stamp(self.clock),
                    );
                }
            }
        }
    }

    pub(crate) fn down(&mut self, peer: usize) {
        if self.peers[peer].up {
            self.peers[peer] = Truth::default();
            for session in self.open() {
                // A router that sends a Peer Up for each view does the same with Peer Downs.
                for _ in 0..=peer {
                    let down = Said::Down(PeerDownReason::RemoteNotification);
                    self.send(session, peer, down, self.stamp(self.clock));
                }
            }
        }
    }

    /// The peer comes up, and has a table at once: see [`version_in`].
    pub(crate) fn up(&mut self, peer: usize, table: u16) {
        let mut held = [None; ROUTES];
        for (route, held) in held.iter_mut().enumerate() {
            if let Some(version) = version_in(table, route) {
                self.change += 1;
                *held = Some(Held { version, change: self.change, stamp: self.clock });
            }
        }
        self.peers[peer] = Truth { up: true, since: self.clock, held };
        for session in self.open() {
            self.dump(session, peer, Told::Anew, self.stamp_of_up(peer));
        }
    }

    /// Tells one session once more that the peer is up, as if it were so since now.
    pub(crate) fn repeat(&mut self, peer: usize, collector: usize) {
        if let Some(session) = self.at(collector)
            && self.peers[peer].up
        {
            self.dump(session, peer, Told::Again, self.stamp(self.clock));
        }
    }

    /// Sends all that the peer holds once more.
    pub(crate) fn refresh(&mut self, peer: usize) {
        for session in self.open() {
            self.send_table(session, peer, false);
        }
    }

    pub(crate) fn connect(&mut self, collector: usize) {
        if self.at(collector).is_some() {
            return;
        }
        self.time += 1000;
        self.sessions.push(Session {
            id: self.time,
            collector,
            state: State::Alive,
            silent: false,
            queue: VecDeque::new(),
            sequence: 1,
            counts: [0; PEERS],
            up: [false; PEERS],
        });
        for peer in 0..PEERS {
            if self.peers[peer].up {
                let stamp = self.stamp_of_up(peer);
                self.dump(self.sessions.len() - 1, peer, Told::Anew, stamp);
            }
        }
    }

    /// The sessions that the router writes to.
    fn open(&self) -> Vec<usize> {
        let open = |session: &Session| matches!(session.state, State::Alive | State::Stalled);
        (0..self.sessions.len()).filter(|index| open(&self.sessions[*index])).collect()
    }

    fn tell(&mut self, peer: usize, word: Word) {
        // What one session's repeated dump keeps, the others must have too: of a route that they
        // were never told of, a withdrawal leaves nothing that would tell what comes late.
        let repeated = |it: &Said| matches!(it, Said::Up { told: Told::Again, .. });
        let repeats = self.sessions.iter().any(|it| it.waiting(peer).any(repeated));
        for session in self.open() {
            if self.leaves_out && !repeats {
                self.leave_out(session, peer, word.route);
            }
            self.send(session, peer, Said::Route { word, dump: false }, self.stamp(self.clock));
        }
    }

    /// Takes back what a session has not taken yet of a route.
    fn leave_out(&mut self, session: usize, peer: usize, route: usize) {
        let queue = &mut self.sessions[session].queue;
        // What is in a dump, or from before the peer came up, is written already.
        let from = queue
            .iter()
            .rposition(|it| it.peer == peer && !matches!(it.said, Said::Route { dump: false, .. }))
            .map_or(0, |last| last + 1);
        let mut index = 0;
        queue.retain(|it| {
            index += 1;
            let Said::Route { word, .. } = &it.said else { return true };
            index <= from || it.peer != peer || word.route != route
        });
    }

    fn dump(&mut self, session: usize, peer: usize, told: Told, stamp: Option<u64>) {
        self.change += 1;
        let number = self.change;
        let held = self.peers[peer].held;
        let endless = std::array::from_fn(|table| {
            let empty = (0..ROUTES).all(|it| table_of(it) != table || held[it].is_none());
            empty && !self.end_of_rib
        });
        // The second peer's router sends one for each view.
        for view in 0..=peer {
            let told = if view > 0 { Told::ForAnotherTable } else { told };
            let up = Said::Up { told, number, endless };
            self.send(session, peer, up, stamp);
        }
        self.send_table(session, peer, true);
    }

    fn send_table(&mut self, session: usize, peer: usize, dump: bool) {
        let held = self.peers[peer].held;
        for table in 0..TABLES {
            let mut empty = true;
            for (route, held) in held.iter().enumerate().filter(|(it, _)| table_of(*it) == table) {
                let Some(held) = held else { continue };
                empty = false;
                let word = Word { route, change: held.change, version: Some(held.version) };
                self.send(session, peer, Said::Route { word, dump }, self.stamp(held.stamp));
            }
            if dump && (self.end_of_rib || !empty) {
                self.send(session, peer, Said::Over(table), self.stamp(self.clock));
            }
        }
    }

    fn send(&mut self, session: usize, peer: usize, said: Said, stamp: Option<u64>) {
        self.sessions[session].queue.push_back(Message { peer, said, stamp });
    }

    /// Publishes the next message of a session.
    pub(crate) fn publish(&mut self, session: usize) -> Option<Arrival> {
        if self.sessions[session].state != State::Alive {
            return None;
        }
        let Message { peer, said, stamp } = self.sessions[session].queue.pop_front()?;
        Some(self.arrival(session, peer, said, stamp))
    }

    fn arrival(&mut self, index: usize, peer: usize, said: Said, stamp: Option<u64>) -> Arrival {
        self.time += 1000;
        let session = &mut self.sessions[index];
        match said {
            Said::Up { .. } => session.up[peer] = true,
            Said::Down(_) => session.up[peer] = false,
            _ => {}
        }
        // What the collector itself concludes bears the number of the last message.
        if !matches!(said, Said::Down(PeerDownReason::SessionLost)) {
            session.sequence += 1;
        }
        session.counts[peer] += 1;
        let event = Event {
            collector: format!("collector-{}", session.collector),
            router: self.router.clone(),
            router_address: Bytes::from_static(&[192, 0, 2, 1]),
            session: session.id,
            sequence: session.sequence,
            received_at: self.time,
            router_time: stamp,
            peer: Some(identity(peer)),
            peer_sequence: session.counts[peer],
            body: Some(body(peer, &said, self.end_of_rib)),
        };
        Arrival { session: index, peer, said, event }
    }

    /// Ends a session whose end its collector has noticed.
    pub(crate) fn lose(&mut self, session: usize) -> Vec<Arrival> {
        self.sessions[session].state = State::Ended;
        self.sessions[session].queue.clear();
        let mut arrivals = Vec::new();
        for peer in 0..PEERS {
            if self.sessions[session].up[peer] {
                let down = Said::Down(PeerDownReason::SessionLost);
                arrivals.push(self.arrival(session, peer, down, None));
            }
        }
        arrivals
    }

    /// Its collector is killed.
    pub(crate) fn kill(&mut self, session: usize) {
        self.sessions[session].state = State::Dead;
        self.sessions[session].queue.clear();
    }
}
