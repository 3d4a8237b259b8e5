//! The ingester's state machine without a database: what a batch loads and writes is kept
//! in maps.

use std::collections::{BTreeMap, BTreeSet};

use ribstream_ingester::{
    current::{
        peer::{PeerState, Word as HoldWord},
        plan::{Plan, Slot},
        route::RouteState,
    },
    rows::{Current, PeerSlot, RibTable, RouterSlot, Rows, Step, encode},
};
use ribstream_proto::v1::Event;

use crate::{
    claims::{Replaced, Row, Shown},
    events::{body, identity},
    history::History,
    network::{PEERS, ROUTES, Said, VERSIONS, Word},
    play::Moment,
};

/// Ids of the peers in the database.
const IDS: [Option<i32>; PEERS] = [Some(1), Some(2)];

/// What names routes and versions in the tables.
#[derive(Debug, Default)]
pub(crate) struct Names {
    routes: BTreeMap<(i32, Vec<u8>), (usize, RibTable)>,
    versions: BTreeMap<(usize, Vec<u8>), u8>,
}

impl Names {
    /// Learns them from the rows of events that name each once.
    pub(crate) fn new() -> Self {
        let mut names = Self::default();
        for peer in 0..PEERS {
            for route in 0..ROUTES {
                for version in 0..VERSIONS {
                    names.learn(peer, route, version);
                }
            }
        }
        names
    }

    fn learn(&mut self, peer: usize, route: usize, version: u8) {
        let word = Word { route, change: 0, version: Some(version) };
        let body = body(peer, &Said::Route { word, dump: false }, false);
        let event = Event { peer: Some(identity(peer)), body: Some(body), ..Event::default() };
        let mut rows = Rows::default();
        append(&event, peer, &mut rows);
        for step in rows.steps(Rows::default().mark(), rows.mark()) {
            if let Step::Route(step) = step {
                let key = rows.octets(step.key).to_vec();
                self.routes.insert((IDS[peer].unwrap(), key), (route, step.rib));
                let signature = rows.octets(step.signature).to_vec();
                self.versions.insert((peer, signature), version);
            }
        }
    }
}

fn append(event: &Event, peer: usize, rows: &mut Rows) {
    let peer = PeerSlot(u32::try_from(peer).unwrap());
    let logged = i64::try_from(event.received_at).unwrap();
    encode(event, 0, logged, RouterSlot(0), Some(peer), rows).unwrap();
}

/// What a row of history is found by: peer, session, sequence and route.
type RowName = (usize, i64, i64, usize);

/// The tables, of history only `change` and `replaced`.
#[derive(Debug)]
pub(crate) struct Memory<'n> {
    names: &'n Names,
    peers: BTreeMap<i32, PeerState>,
    routes: BTreeMap<(i32, Vec<u8>), RouteState>,
    history: BTreeMap<RowName, (&'static str, Option<i64>)>,
}

impl<'n> Memory<'n> {
    pub(crate) fn new(names: &'n Names) -> Self {
        Self { names, peers: BTreeMap::new(), routes: BTreeMap::new(), history: BTreeMap::new() }
    }

    /// Plays moments in; what is not as it must be.
    pub(crate) fn check(&mut self, history: &History, moments: &[Moment]) -> Result<(), String> {
        for (number, moment) in moments.iter().enumerate() {
            for batch in moment.arrivals.chunks(history.batch) {
                let events: Vec<_> =
                    batch.iter().map(|(arrival, _)| (arrival.peer, &arrival.event)).collect();
                self.write(&events);
            }
            for (arrival, row) in &moment.arrivals {
                if let (Said::Route { word, .. }, Some(row)) = (&arrival.said, row) {
                    let name = (
                        arrival.peer,
                        i64::try_from(arrival.event.session).unwrap(),
                        i64::try_from(arrival.event.sequence).unwrap(),
                        word.route,
                    );
                    let found = self.history.get(&name).copied();
                    check_row(row, found).map_err(|what| {
                        format!("step {number}: peer {} route {}: {what}", name.0, name.3)
                    })?;
                }
            }
            for (peer, routes) in moment.shown.iter().enumerate() {
                for (route, shown) in routes.iter().enumerate() {
                    let found = self.shown(peer, route, &moment.silent);
                    if *shown != Shown::Any && *shown != Shown::Is(found) {
                        let what = "is to be shown and is";
                        return Err(format!(
                            "step {number}: peer {peer} route {route}: {shown:?} {what} {found:?}"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// What `current_routes` would show of a route.
    fn shown(&self, peer: usize, route: usize, silent: &[u64]) -> Option<u8> {
        let id = IDS[peer].unwrap();
        let state = self.peers.get(&id)?;
        // The view `live_peers`.
        let live = |session: i64| silent.iter().all(|it| i64::try_from(*it).unwrap() != session);
        if !state.holds.iter().any(|hold| hold.word == HoldWord::Up && live(hold.session)) {
            return None;
        }
        let (key, rib) = self.names.routes.iter().find_map(|((peer, key), (known, rib))| {
            (*peer == id && *known == route).then_some(((*peer, key.clone()), *rib))
        })?;
        let found = self.routes.get(&key).filter(|found| found.is_current(state, rib))?;
        self.names.versions.get(&(peer, found.signature.clone())).copied()
    }

    /// A batch: as `current/load.rs` loads one and `current/write_*.rs` write it.
    fn write(&mut self, events: &[(usize, &Event)]) {
        let mut rows = Rows::default();
        let from = rows.mark();
        let mut ends = Vec::new();
        let mut sessions = BTreeSet::new();
        for (peer, event) in events {
            append(event, *peer, &mut rows);
            ends.push(rows.mark());
            sessions.insert(i64::try_from(event.session).unwrap());
        }
        let to = rows.mark();
        let mut plan = Plan::new(&rows, from, to, &IDS);
        for (id, peer) in &mut plan.peers {
            let Some(known) = self.peers.get(id) else { continue };
            *peer = PeerState {
                holds: known
                    .holds
                    .iter()
                    .filter(|hold| hold.word == HoldWord::Up || sessions.contains(&hold.session))
                    .cloned()
                    .collect(),
                epoch: known.epoch.clone(),
                dumps: known.dumps.clone(),
                ..PeerState::default()
            };
        }
        for ((id, key), slot) in &mut plan.routes[Current::Routes as usize] {
            slot.state = self.routes.get(&(*id, key.to_vec())).cloned();
            slot.stored = slot.state.is_some();
        }
        plan.run(&rows, from, ends.into_iter(), &IDS);
        self.keep(&rows, &plan);
    }

    fn keep(&mut self, rows: &Rows, plan: &Plan<'_>) {
        for (id, peer) in &plan.peers {
            let known = self.peers.entry(*id).or_default();
            for hold in &peer.holds {
                known.holds.retain(|other| other.session != hold.session);
                known.holds.push(hold.clone());
            }
            known.epoch.clone_from(&peer.epoch);
            known.dumps.clone_from(&peer.dumps);
        }
        for ((id, key), Slot { state, .. }) in &plan.routes[Current::Routes as usize] {
            if let Some(state) = state {
                self.routes.insert((*id, key.to_vec()), state.clone());
            }
        }
        let mut event = None;
        let mut named = BTreeMap::new();
        for step in rows.steps(Rows::default().mark(), rows.mark()) {
            match step {
                Step::Event(place) => event = Some(*place),
                Step::Route(route) => {
                    let place = event.unwrap();
                    let id = IDS[place.peer.0 as usize].unwrap();
                    let (number, _) = self.names.routes[&(id, rows.octets(route.key).to_vec())];
                    let peer = place.peer.0 as usize;
                    named.insert(route.row, (peer, place.session, place.sequence, number));
                }
                _ => {}
            }
        }
        for (row, tail) in &plan.history[Current::Routes as usize] {
            self.history.insert(named[row], (tail.change.name(), tail.replaced));
        }
    }
}

/// Whether a row of the history is as it must be.
pub(crate) fn check_row(row: &Row, found: Option<(&str, Option<i64>)>) -> Result<(), String> {
    let right = match (row, found) {
        (Row::Any, _) | (Row::NoNews, None) => true,
        (Row::NoNews, Some((change, _))) => matches!(change, "refresh" | "withdrawn-unknown"),
        (Row::Is { .. }, None) => false,
        (Row::Is { change, replaced }, Some((is, was))) => {
            change.contains(&is) && [Replaced::Any, Replaced::Is(was)].contains(replaced)
        }
    };
    if right { Ok(()) } else { Err(format!("{row:?} is to be the row and is {found:?}")) }
}
