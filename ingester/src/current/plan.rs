//! What a batch is to write, worked out from what the database holds.

use std::{collections::HashMap, ops::Range};

use ribstream_proto::v1::PeerDownReason;

use super::{
    peer::{Order, PeerState},
    route::{Outcome, RouteState, Statement, Tail, apply},
};
use crate::rows::{Current, Mark, RouteStep, Rows, Step, Table};

/// The tables of history that no current table goes with.
const OTHERS: [Table; 4] =
    [Table::PeerEvents, Table::StatsReports, Table::MirroredMessages, Table::ProcessingTimes];

/// A route of the batch.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    /// The database has a row of it.
    pub stored: bool,
    /// As it is.
    pub state: Option<RouteState>,
    /// The row of history with its version, where this batch brought it.
    pub version: Option<u32>,
    /// It is not as it was loaded.
    pub touched: bool,
}

/// The routes of a batch in one current table, by the peer's id and their key.
pub type Slots<'r> = HashMap<(i32, &'r [u8]), Slot>;

/// Which events of a peer in a session were run through: the first and the last, and
/// when they were received. Those between them are all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Message, and place within it, of the first.
    pub first: (i64, i32),
    /// Of the last.
    pub last: (i64, i32),
    /// Earliest and latest receive time.
    pub times: (i64, i64),
}

/// Spans by peer's id and session.
pub type Spans = HashMap<(i32, i64), Span>;

impl Span {
    fn of(place: &crate::rows::Place, said: &[Step]) -> Self {
        // What is said behind the last message bears that message's number.
        let behind = said.iter().any(|step| matches!(step, Step::Down(_, reason) if *reason == PeerDownReason::SessionLost as i32));
        let (first, last) = if behind { (i32::MAX, i32::MAX) } else { (0, i32::MAX - 1) };
        Self {
            first: (place.sequence, first),
            last: (place.sequence, last),
            times: (place.time, place.time),
        }
    }

    /// Takes in another.
    pub fn join(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.times.0 = self.times.0.min(other.times.0);
        self.times.1 = self.times.1.max(other.times.1);
    }
}

/// Everything that a batch reads and changes.
#[derive(Debug, Default)]
pub struct Plan<'r> {
    /// Its peers, by id.
    pub peers: HashMap<i32, PeerState>,
    /// Its routes.
    pub routes: [Slots<'r>; Current::ALL.len()],
    /// The rows of history to be written, with their tails.
    pub history: [Vec<(u32, Tail)>; Current::ALL.len()],
    /// The rows of the other tables to be written.
    pub others: Vec<(Table, Range<usize>)>,
    /// What was not written.
    pub counts: Counts,
    /// The events that were not read before.
    pub spans: Spans,
}

/// Events that left no row of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that were in the tables already.
    pub duplicates: u64,
    /// Events that are missing.
    pub missing: u64,
    /// Routes that another session of the router had told.
    pub echoes: u64,
}

impl<'r> Plan<'r> {
    /// A plan for the records whose ends are `ends`, the first of which begins at
    /// `from`. `peer_id` gives the ids of slots.
    #[must_use]
    pub fn new(rows: &'r Rows, from: Mark, to: Mark, ids: &[Option<i32>]) -> Self {
        let mut plan = Self::default();
        let mut peer_id = -1;
        for step in rows.steps(from, to) {
            match step {
                Step::Event(place) => {
                    peer_id = id(ids, place.peer.0);
                    plan.peers.entry(peer_id).or_default();
                }
                Step::Route(route) => {
                    let key = rows.octets(route.key);
                    plan.routes[current(route.table) as usize].entry((peer_id, key)).or_default();
                }
                _ => {}
            }
        }
        plan
    }

    /// Runs through the events, from what was loaded.
    pub fn run(
        &mut self,
        rows: &'r Rows,
        from: Mark,
        ends: impl Iterator<Item = Mark>,
        ids: &[Option<i32>],
    ) {
        let mut begin = from;
        for end in ends {
            if self.event(rows, begin, end, ids) == Order::Duplicate {
                self.counts.duplicates += 1;
            } else {
                for table in OTHERS {
                    self.keep(table, begin.rows(table)..end.rows(table));
                }
            }
            begin = end;
        }
        let gaps = self.peers.values().flat_map(|peer| &peer.gaps);
        self.counts.missing =
            gaps.map(|gap| u64::try_from(gap.before - gap.after - 1).unwrap_or(0)).sum();
    }

    fn keep(&mut self, table: Table, rows: Range<usize>) {
        if rows.is_empty() {
            return;
        }
        let last = self.others.iter_mut().rev().find(|(known, _)| *known == table);
        match last {
            Some((_, known)) if known.end == rows.start => known.end = rows.end,
            _ => self.others.push((table, rows)),
        }
    }

    fn event(&mut self, rows: &'r Rows, from: Mark, to: Mark, ids: &[Option<i32>]) -> Order {
        let steps = rows.steps(from, to);
        let Some((Step::Event(place), said)) = steps.split_first() else { return Order::Next };
        let peer_id = id(ids, place.peer.0);
        let Some(peer) = self.peers.get_mut(&peer_id) else { return Order::Next };
        if peer.number(place) == Order::Duplicate {
            return Order::Duplicate;
        }
        let span = Span::of(place, said);
        self.spans
            .entry((peer_id, place.session))
            .and_modify(|all| all.join(&span))
            .or_insert(span);
        for step in said {
            match step {
                Step::Event(_) => {}
                Step::Up(says, told) => {
                    peer.says = Some(*says);
                    peer.up(place, *told);
                }
                Step::Down(says, reason) => {
                    peer.says = Some(*says);
                    peer.down(place, *reason);
                }
                Step::Monitored => peer.monitored(place),
                Step::DumpOver(table) => peer.dump_over(place, *table),
                Step::Route(route) => {
                    let table = current(route.table) as usize;
                    let key = (peer_id, rows.octets(route.key));
                    let Some(slot) = self.routes[table].get_mut(&key) else { continue };
                    let outcome = slot.say(rows, route, place, peer);
                    match outcome {
                        Outcome::Version(tail) | Outcome::Row(tail) => {
                            self.history[table].push((route.row, tail));
                        }
                        Outcome::Echo | Outcome::Past => self.counts.echoes += 1,
                    }
                }
            }
        }
        Order::Next
    }
}

impl Slot {
    fn say(
        &mut self,
        rows: &Rows,
        route: &RouteStep,
        place: &crate::rows::Place,
        peer: &PeerState,
    ) -> Outcome {
        let signature = (!route.withdraw).then(|| rows.octets(route.signature));
        let statement = Statement { place, table: route.rib, signature };
        let outcome = apply(&statement, peer, &mut self.state);
        self.touched |= self.state.is_some();
        if matches!(outcome, Outcome::Version(_)) {
            self.version = Some(route.row);
        }
        outcome
    }
}

fn id(ids: &[Option<i32>], slot: u32) -> i32 {
    ids.get(slot as usize).copied().flatten().unwrap_or(-1)
}

/// The current table of a table of routes.
fn current(table: Table) -> Current {
    match table {
        Table::EvpnEvents => Current::EvpnRoutes,
        Table::OtherEvents => Current::OtherRoutes,
        _ => Current::Routes,
    }
}
