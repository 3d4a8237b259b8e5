//! What an announcement or a withdrawal does to a route.
//!
//! Where one session holds the peer, each event of it is the truth. Where
//! several do, each change of the router arrives once by each, sooner or later:
//! the first to tell brings the news, the others echo it. A session that is
//! behind and has some way to go says what was true in between; that is past.
//! Which it is, is told by, in this order:
//!
//! 1. what the session says is what is known: an echo;
//! 2. the session came up after the known version began: it knows better, news;
//! 3. both have the router's time, more than a millisecond apart: the later is the truth;
//! 4. how many steps the session is behind: each but the last is past.

use super::peer::PeerState;
use crate::rows::{Place, RibTable, Signature};

/// Router times of two sessions that are closer tell nothing, in microseconds: FRR reads two
/// clocks for each message that it sends, so that one change has one time here and another
/// there, now the earlier and now the later.
const JITTER: u64 = 1000;

/// What an event did to the current tables; history rows carry its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Announced, and it was not there.
    New,
    /// Announced as it was before its peer went down or a dump left it out.
    Returned,
    /// Announced with other attributes.
    Changed,
    /// Announced as it is.
    Refresh,
    /// Withdrawn.
    Withdrawn,
    /// Withdrawn, and it was not there.
    WithdrawnUnknown,
    /// Of a peer that the session has said to be down: history only.
    Unheld,
}

impl Change {
    /// Its name in the column `change`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Returned => "returned",
            Self::Changed => "changed",
            Self::Refresh => "refresh",
            Self::Withdrawn => "withdrawn",
            Self::WithdrawnUnknown => "withdrawn-unknown",
            Self::Unheld => "unheld",
        }
    }
}

/// What a history row says about what its event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// What.
    pub change: Change,
    /// Which parts have changed, as in [`crate::rows::PARTS`].
    pub changed: Option<i32>,
    /// When the version that it replaced had begun.
    pub replaced: Option<i64>,
}

/// A route in a current table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteState {
    /// The peer's epoch in which it was last announced or withdrawn.
    pub epoch: i32,
    /// Receive time of the announcement that brought this version.
    pub since: i64,
    /// The router's clock at the latest change or withdrawal.
    pub router_time: Option<i64>,
    /// When that came into the topic.
    pub logged: i64,
    /// When any session last said that this is how it is.
    pub heard: i64,
    /// When that came into the topic.
    pub heard_logged: i64,
    /// Which session.
    pub heard_session: i64,
    /// In which message.
    pub heard_sequence: i64,
    /// First announcement known.
    pub first_seen: i64,
    /// First announcement of the epoch.
    pub epoch_seen: i64,
    /// When it was withdrawn, where it is.
    pub withdrawn: Option<i64>,
    /// How often it was announced otherwise than it was, or anew.
    pub changes: i32,
    /// How often it was withdrawn.
    pub withdrawals: i32,
    /// The session whose repetitions are the router's own, not echoes.
    pub leader: i64,
    /// Sessions that are behind, in order, and by how many steps.
    pub behind: Vec<(i64, u8)>,
    /// The version, as [`Signature`].
    pub signature: Vec<u8>,
}

/// An announcement or a withdrawal.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// By which message.
    pub place: &'a Place,
    /// Of which table.
    pub table: RibTable,
    /// The version; `None` withdraws.
    pub signature: Option<&'a [u8]>,
}

/// What is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A row of history; the current row has the statement's version.
    Version(Tail),
    /// A row of history; the version stays.
    Row(Tail),
    /// No row: another session had said so.
    Echo,
    /// No row: another session has said more since.
    Past,
}

impl RouteState {
    /// Whether the router holds it, as far as the events say.
    #[must_use]
    pub fn is_current(&self, peer: &PeerState, table: RibTable) -> bool {
        peer.is_up()
            && self.withdrawn.is_none()
            && self.epoch == peer.epoch_number()
            && peer.dumps.get(&table).is_none_or(|dump| {
                if self.heard_session == dump.session {
                    self.heard_sequence > dump.sequence
                } else {
                    (self.heard_logged, self.heard) >= dump.when()
                }
            })
    }
}

/// What a statement does to a route.
pub fn apply(
    statement: &Statement<'_>,
    peer: &PeerState,
    route: &mut Option<RouteState>,
) -> Outcome {
    let place = statement.place;
    let Some(hold) = peer.held_by(place.session) else {
        return if peer.is_overtaken(place.session) {
            Outcome::Past
        } else {
            Outcome::Row(tail(Change::Unheld))
        };
    };
    let current = route.as_ref().is_some_and(|route| route.is_current(peer, statement.table));
    let Some(known) = route.as_mut() else {
        return match statement.signature {
            Some(signature) => {
                *route = Some(first(place, peer, signature));
                Outcome::Version(tail(Change::New))
            }
            None => Outcome::Row(tail(Change::WithdrawnUnknown)),
        };
    };
    let same = match statement.signature {
        Some(signature) => current && known.signature == signature,
        None => !current,
    };
    if same && statement.signature.is_none() && known.withdrawn.is_none() {
        known.stay_ended(place, peer);
    }
    let leads = known.leader == place.session || peer.held_by(known.leader).is_none();
    if same {
        known.is_abreast(place.session);
        if statement.signature.is_some() {
            known.hear(place);
        }
        if !leads {
            return Outcome::Echo;
        }
        known.leader = place.session;
        known.behind.retain(|(session, _)| *session != place.session);
        let change = match statement.signature {
            Some(_) => Change::Refresh,
            None => Change::WithdrawnUnknown,
        };
        return Outcome::Row(tail(change));
    }
    if !leads && known.is_past(place, (hold.logged, hold.began)) {
        return Outcome::Past;
    }
    known.news(statement, peer, current)
}

impl RouteState {
    /// Whether a session other than the leader is only catching up with what is known.
    /// `hold_began` as [`Dump::when`].
    ///
    /// [`Dump::when`]: super::peer::Dump::when
    fn is_past(&mut self, place: &Place, hold_began: (i64, i64)) -> bool {
        if (self.logged, self.withdrawn.unwrap_or(self.since)) < hold_began {
            return false;
        }
        if let (Some(known), Some(said)) = (self.router_time, place.router_time)
            && known.abs_diff(said) > JITTER
        {
            return said < known;
        }
        let behind = self.behind.iter_mut().find(|(session, _)| *session == place.session);
        match behind {
            Some((_, steps)) if *steps > 1 => {
                *steps -= 1;
                true
            }
            _ => false,
        }
    }

    /// It ended with a dump or an epoch, and now the session withdraws it: what others still say
    /// of the time before is not to bring it back, and what the session says next is news.
    fn stay_ended(&mut self, place: &Place, peer: &PeerState) {
        self.withdrawn = Some(place.time);
        self.router_time = place.router_time;
        self.logged = place.logged;
        self.fall_behind(peer, place.session, 2);
        self.leader = place.session;
    }

    /// The session has said what is known.
    fn is_abreast(&mut self, session: i64) {
        match self.place_behind(session) {
            Ok(known) => self.behind[known].1 = 0,
            Err(place) if session != self.leader => self.behind.insert(place, (session, 0)),
            Err(_) => {}
        }
    }

    /// Where a session is among those behind, or would be: holds come in no certain order.
    fn place_behind(&self, session: i64) -> Result<usize, usize> {
        self.behind.binary_search_by_key(&session, |(known, _)| *known)
    }

    fn news(&mut self, statement: &Statement<'_>, peer: &PeerState, current: bool) -> Outcome {
        let place = statement.place;
        let replaced = current.then_some(self.since);
        let change = match statement.signature {
            None => {
                self.withdrawn = Some(place.time);
                self.withdrawals = self.withdrawals.saturating_add(1);
                tail(Change::Withdrawn)
            }
            Some(signature) => {
                let before = Signature(&self.signature);
                let change = if current {
                    let changed = before.changed(&Signature(signature));
                    Tail { changed: Some(changed), ..tail(Change::Changed) }
                } else if self.withdrawn.is_none() && self.signature == signature {
                    tail(Change::Returned)
                } else {
                    tail(Change::New)
                };
                if change.change != Change::Returned {
                    self.changes = self.changes.saturating_add(1);
                }
                if self.epoch != peer.epoch_number() {
                    self.epoch_seen = place.time;
                }
                self.since = place.time;
                self.withdrawn = None;
                self.signature.clear();
                self.signature.extend_from_slice(signature);
                change
            }
        };
        self.router_time = place.router_time;
        self.logged = place.logged;
        self.epoch = peer.epoch_number();
        self.hear(place);
        self.fall_behind(peer, place.session, 2);
        self.leader = place.session;
        let change = Tail { replaced, ..change };
        if statement.signature.is_some() { Outcome::Version(change) } else { Outcome::Row(change) }
    }

    /// All other holders of the peer have one step more to go. One that has said
    /// nothing of the route yet has `unheard` to go: it may begin with the version before.
    fn fall_behind(&mut self, peer: &PeerState, except: i64, unheard: u8) {
        let leader = self.leader;
        self.behind.retain(|(session, _)| *session != except && peer.held_by(*session).is_some());
        for hold in peer.holders(except) {
            match self.place_behind(hold.session) {
                Ok(known) => self.behind[known].1 = self.behind[known].1.saturating_add(1),
                Err(place) => {
                    let steps = if hold.session == leader { 1 } else { unheard };
                    self.behind.insert(place, (hold.session, steps));
                }
            }
        }
    }

    fn hear(&mut self, place: &Place) {
        self.heard = self.heard.max(place.time);
        self.heard_logged = self.heard_logged.max(place.logged);
        self.heard_session = place.session;
        self.heard_sequence = place.sequence;
    }
}

fn first(place: &Place, peer: &PeerState, signature: &[u8]) -> RouteState {
    let mut route = RouteState {
        epoch: peer.epoch_number(),
        since: place.time,
        router_time: place.router_time,
        logged: place.logged,
        heard: place.time,
        heard_logged: place.logged,
        heard_session: place.session,
        heard_sequence: place.sequence,
        first_seen: place.time,
        epoch_seen: place.time,
        leader: place.session,
        signature: signature.to_vec(),
        ..RouteState::default()
    };
    route.fall_behind(peer, place.session, 1);
    route
}

fn tail(change: Change) -> Tail {
    Tail { change, changed: None, replaced: None }
}

#[cfg(test)]
mod tests;
