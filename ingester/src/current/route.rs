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
    /// When any session last said that this is how it is.
    pub heard: i64,
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
                    self.heard >= dump.began
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
        return Outcome::Row(tail(Change::Unheld));
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
    if !leads && known.is_past(place, hold.began) {
        return Outcome::Past;
    }
    known.news(statement, peer, current)
}

impl RouteState {
    /// Whether a session other than the leader is only catching up with what is known.
    fn is_past(&mut self, place: &Place, hold_began: i64) -> bool {
        let known_since = self.withdrawn.unwrap_or(self.since);
        if known_since < hold_began {
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
        self.heard_session = place.session;
        self.heard_sequence = place.sequence;
    }
}

fn first(place: &Place, peer: &PeerState, signature: &[u8]) -> RouteState {
    let mut route = RouteState {
        epoch: peer.epoch_number(),
        since: place.time,
        router_time: place.router_time,
        heard: place.time,
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
mod tests {
    use super::*;
    use crate::rows::{Continues, PeerSlot};

    const TABLE: RibTable = RibTable { view: 1, afi: 1, safi: 1 };
    const V1: &[u8] = &[0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1];
    const V2: &[u8] = &[0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 2, 2];
    const V3: &[u8] = &[0, 0, 0, 1, 3, 3, 3, 3, 3, 3, 3, 3];

    /// A peer and one of its routes, and events a second apart.
    #[derive(Default)]
    struct Story {
        peer: PeerState,
        route: Option<RouteState>,
        time: i64,
        router_time: Option<i64>,
    }

    impl Story {
        fn place(&mut self, session: i64) -> Place {
            self.time += 1_000_000;
            Place {
                peer: PeerSlot(0),
                session,
                sequence: self.time / 1_000_000,
                peer_sequence: 0,
                time: self.time,
                router_time: self.router_time,
            }
        }

        fn up(&mut self, session: i64) {
            let place = self.place(session);
            self.peer.up(&place, Continues::No);
        }

        fn down(&mut self, session: i64) {
            let place = self.place(session);
            self.peer.down(&place, 3);
        }

        fn dump_over(&mut self, session: i64) {
            let place = self.place(session);
            self.peer.dump_over(&place, TABLE);
        }

        fn say(&mut self, session: i64, signature: Option<&[u8]>) -> &'static str {
            let place = self.place(session);
            let statement = Statement { place: &place, table: TABLE, signature };
            match apply(&statement, &self.peer, &mut self.route) {
                Outcome::Version(tail) | Outcome::Row(tail) => tail.change.name(),
                Outcome::Echo => "echo",
                Outcome::Past => "past",
            }
        }

        fn current(&self) -> Option<&[u8]> {
            let route = self.route.as_ref()?;
            route.is_current(&self.peer, TABLE).then_some(&*route.signature)
        }
    }

    #[test]
    fn one_session_tells_news_from_repetitions() {
        let mut story = Story::default();
        story.up(1);
        assert_eq!(story.say(1, None), "withdrawn-unknown");
        assert_eq!(story.say(1, Some(V1)), "new");
        assert_eq!(story.say(1, Some(V1)), "refresh");
        assert_eq!(story.say(1, Some(V2)), "changed");
        assert_eq!(story.say(1, None), "withdrawn");
        assert_eq!(story.current(), None);
        assert_eq!(story.say(1, None), "withdrawn-unknown");
        assert_eq!(story.say(1, Some(V2)), "new");
        let route = story.route.unwrap();
        assert_eq!((route.changes, route.withdrawals), (2, 1));
    }

    #[test]
    fn a_change_says_what_it_replaced_and_since_when_that_was() {
        let mut story = Story::default();
        story.up(1);
        story.say(1, Some(V1));
        let began = story.time;
        story.say(1, Some(V1));
        let place = story.place(1);
        let statement = Statement { place: &place, table: TABLE, signature: Some(V2) };
        let outcome = apply(&statement, &story.peer, &mut story.route);
        let change = Tail { change: Change::Changed, changed: Some(1), replaced: Some(began) };
        assert_eq!(outcome, Outcome::Version(change));
    }

    #[test]
    fn what_a_peer_held_ends_with_its_last_hold_and_returns_with_the_next() {
        let mut story = Story::default();
        story.up(1);
        story.say(1, Some(V1));
        story.down(1);
        assert_eq!(story.current(), None);
        assert_eq!(story.say(1, Some(V2)), "unheld");
        assert_eq!(story.current(), None);
        story.up(1);
        assert_eq!(story.current(), None);
        assert_eq!(story.say(1, Some(V1)), "returned");
        assert_eq!(story.current(), Some(V1));
        story.up(1);
        assert_eq!(story.current(), None, "up again without a down: the table begins anew");
        let epochs: Vec<i32> = story.peer.epochs.iter().map(|epoch| epoch.number).collect();
        assert_eq!(epochs, [1, 2, 3]);
    }

    #[test]
    fn two_sessions_tell_each_change_once_whoever_is_first() {
        let mut story = Story::default();
        story.up(1);
        story.up(2);
        for (session, version, outcome) in [
            (1, Some(V1), "new"),
            (2, Some(V1), "echo"),
            // The second is ahead.
            (2, Some(V2), "changed"),
            (1, Some(V2), "echo"),
            // The first runs two steps ahead, and the second follows.
            (1, Some(V3), "changed"),
            (1, Some(V1), "changed"),
            (2, Some(V3), "past"),
            (2, Some(V1), "echo"),
            (2, None, "withdrawn"),
            (2, Some(V2), "new"),
            (1, None, "past"),
            (1, Some(V2), "echo"),
            // What the one who told repeats is the router's.
            (2, Some(V2), "refresh"),
            (1, Some(V2), "echo"),
        ] {
            assert_eq!(story.say(session, version), outcome, "{session} {version:?}");
        }
        assert_eq!(story.current(), Some(V2));
        story.down(2);
        assert_eq!(story.current(), Some(V2), "the first carries on");
        assert_eq!(story.say(1, Some(V2)), "refresh");
        assert_eq!(story.say(1, Some(V3)), "changed");
        assert_eq!(story.peer.epoch_number(), 1);
    }

    #[test]
    fn the_routers_own_time_tells_the_past_from_news() {
        let mut story = Story::default();
        story.up(1);
        story.up(2);
        for (session, version, at, outcome) in [
            (1, Some(V1), 10, "new"),
            (2, Some(V1), 10, "echo"),
            (1, Some(V2), 20, "changed"),
            (1, Some(V3), 30, "changed"),
            // The router has left out a step towards the second, which is ahead.
            (2, Some(V1), 40, "changed"),
            (1, Some(V2), 35, "past"),
            (1, Some(V1), 40, "echo"),
        ] {
            story.router_time = Some(at * 1_000_000);
            assert_eq!(story.say(session, version), outcome, "{session} {version:?}");
        }
    }

    #[test]
    fn router_times_a_few_microseconds_apart_tell_nothing() {
        // FRR stamps what it sends to two collectors for each anew.
        let mut story = Story::default();
        story.up(1);
        story.up(2);
        for (session, version, at, outcome) in [
            (1, Some(V1), 10_000_000, "new"),
            (2, Some(V1), 10_000_000, "echo"),
            (1, None, 20_000_010, "withdrawn"),
            (2, None, 20_000_002, "echo"),
            // The second goes on before the first, by an earlier stamp.
            (2, Some(V2), 20_000_008, "new"),
            (1, Some(V2), 20_000_013, "echo"),
            (1, None, 30_000_000, "withdrawn"),
            (1, Some(V1), 30_000_002, "new"),
            // The second follows, by later stamps.
            (2, None, 30_001_002, "past"),
            (2, Some(V1), 30_001_002, "echo"),
            // More than a millisecond is an answer.
            (1, Some(V2), 40_000_000, "changed"),
            (2, Some(V3), 39_998_999, "past"),
        ] {
            story.router_time = Some(at);
            assert_eq!(story.say(session, version), outcome, "{session} {version:?} {at}");
        }
    }

    #[test]
    fn a_session_leads_from_its_own_withdrawal_of_a_route_that_a_dump_has_ended() {
        let mut story = Story::default();
        story.up(1);
        story.up(2);
        story.router_time = Some(10_000_000);
        assert_eq!(story.say(2, Some(V1)), "new");
        assert_eq!(story.say(1, Some(V1)), "echo");
        // The first comes back without it, while the second still repeats what was.
        story.down(1);
        story.up(1);
        story.dump_over(1);
        for (session, version, at, outcome) in [
            (1, None, 20_000_000, "withdrawn-unknown"),
            (2, Some(V1), 10_000_000, "past"),
            (1, Some(V2), 20_000_000, "new"),
            (2, Some(V1), 10_000_000, "past"),
            (2, None, 20_000_000, "past"),
            (2, Some(V2), 20_000_000, "echo"),
        ] {
            story.router_time = Some(at);
            assert_eq!(story.say(session, version), outcome, "{session} {version:?} {at}");
        }
        assert_eq!(story.current(), Some(V2));
    }

    #[test]
    fn a_new_session_knows_better_than_what_is_older_than_it() {
        // Its first session was never seen to end: its collector was killed.
        let mut story = Story { router_time: Some(1000), ..Story::default() };
        story.up(1);
        story.say(1, Some(V1));
        story.up(2);
        // The router's clock began anew.
        story.router_time = Some(10);
        assert_eq!(story.say(2, Some(V2)), "changed");
        assert_eq!(story.current(), Some(V2));
    }

    #[test]
    fn what_a_new_sessions_dump_does_not_repeat_is_gone() {
        let mut story = Story::default();
        story.up(1);
        story.say(1, Some(V1));
        story.up(2);
        assert_eq!(story.current(), Some(V1), "nothing flickers");
        story.dump_over(2);
        assert_eq!(story.current(), None);
        assert_eq!(story.say(2, Some(V1)), "returned");
        story.down(2);
        assert_eq!(story.current(), Some(V1));
    }

    #[test]
    fn what_a_new_sessions_dump_repeats_stays_and_is_no_news() {
        let mut story = Story::default();
        story.up(1);
        story.say(1, Some(V1));
        story.up(2);
        assert_eq!(story.say(2, Some(V1)), "echo");
        story.dump_over(2);
        assert_eq!(story.current(), Some(V1));
        story.down(1);
        assert_eq!(story.current(), Some(V1));
        assert_eq!(story.route.as_ref().unwrap().first_seen, 2_000_000);
    }

    #[test]
    fn a_dump_spares_what_another_session_told_since_it_began() {
        let mut story = Story::default();
        story.up(1);
        story.up(2);
        story.say(1, Some(V1));
        story.dump_over(2);
        assert_eq!(story.current(), Some(V1));
    }

    #[test]
    fn a_dump_that_began_earlier_and_ended_later_brings_nothing_back() {
        let mut story = Story::default();
        story.up(1);
        story.say(1, Some(V1));
        story.up(2);
        story.dump_over(2);
        assert_eq!(story.current(), None);
        story.dump_over(1);
        assert_eq!(story.current(), None);
    }

    #[test]
    fn a_late_withdrawal_of_a_route_that_a_dump_has_ended_keeps_it_ended() {
        let mut story = Story::default();
        story.up(1);
        story.say(1, Some(V1));
        story.up(2);
        story.dump_over(2);
        story.say(1, None);
        let route = story.route.as_ref().unwrap();
        assert_eq!(route.withdrawn, Some(story.time));
        assert_eq!(story.say(1, Some(V1)), "new", "it does not return, it was withdrawn");
    }

    #[test]
    fn a_route_is_the_same_in_whichever_order_the_holds_of_its_peer_were_read() {
        let tell = |shuffle: bool| {
            let mut story = Story::default();
            for session in [1, 2, 3, 4] {
                story.up(session);
            }
            for (session, version) in [(2, V1), (4, V1), (3, V2), (1, V2), (2, V3)] {
                if shuffle {
                    story.peer.holds.rotate_left(1);
                }
                story.say(session, Some(version));
            }
            story.route
        };
        assert_eq!(tell(false), tell(true));
    }

    #[test]
    fn a_peer_that_never_came_up_is_held_by_its_routes() {
        let mut story = Story::default();
        let place = story.place(1);
        story.peer.monitored(&place);
        assert_eq!(story.say(1, Some(V1)), "new");
        assert_eq!(story.current(), Some(V1));
        story.down(1);
        let place = story.place(1);
        story.peer.monitored(&place);
        assert!(!story.peer.is_up(), "the session has said that it is down");
    }

    #[test]
    fn numbers_show_what_is_missing_and_what_came_twice() {
        use super::super::peer::Order;
        let mut story = Story::default();
        let mut order = |number| {
            let place = Place { peer_sequence: number, ..story.place(1) };
            story.peer.number(&place)
        };
        assert_eq!(order(1), Order::Next);
        assert_eq!(order(2), Order::Next);
        assert_eq!(order(2), Order::Duplicate);
        assert_eq!(order(5), Order::Next);
        assert_eq!(order(1), Order::Duplicate);
        let gaps: Vec<_> = story.peer.gaps.iter().map(|gap| (gap.after, gap.before)).collect();
        assert_eq!(gaps, [(2, 5)]);
    }
}
