//! What the tables must say of a history, as far as `docs/sessions.md` promises it.
//!
//! The router's own table is the measure. Once all that was under way has arrived, the
//! current tables are equal to it. In between, and of the rows of the history, what is
//! promised depends on who speaks:
//!
//! - one session holds the peer: the tables are what it said, and each of its words has
//!   its row;
//! - several hold it, and were abreast: the tables are what the foremost has said, and
//!   each change has one row, whoever told it first;
//! - the peer went down or up, or a session came or went, while others were behind:
//!   nothing until all has arrived;
//! - one session said that the peer went down, and another held it by the router's time since
//!   before: this one's words leave no row until it has said so too, and the first is alone.
//!
//! A session that ended while it was behind, around a dump or a flap, may leave its mark on
//! a table until the next dump: nothing is claimed of it until then.
//!
//! Where timestamps do not tell versions apart, and so the steps of each session are counted,
//! less is promised: a dump leaves out what came before, a word that changes nothing is no
//! step, and a version that comes back is taken for an echo. Once that has upset the count
//! of several sessions, the tables are right when all of them have spoken, and no row is
//! claimed while there are several, until the peer comes up anew.

use std::collections::{BTreeMap, BTreeSet};

use ribstream_ingester::rows::Told;
use ribstream_proto::v1::PeerDownReason;

use crate::network::{Arrival, Network, ROUTES, Said, State, TABLES, Word, table_of};

/// What must be shown of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Any,
    Is(Option<u8>),
}

/// What the history must have of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Any,
    /// No row, or one that tells no change.
    NoNews,
    Is {
        /// One of these.
        change: &'static [&'static str],
        replaced: Replaced,
    },
}

/// What a row must say of the version that it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    Any,
    /// When it had begun, in microseconds, where there was one.
    Is(Option<i64>),
}

/// What is known of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Never,
    Shown(u8),
    /// It ended with its peer.
    Gone(u8),
    Withdrawn,
    /// It is not shown, for whichever reason.
    Unclear,
}

#[derive(Clone, Copy, Debug)]
struct Route {
    known: Known,
    /// The latest of the router's changes that was told.
    change: u32,
    /// When the shown version arrived, where that is known.
    since: Option<i64>,
}

impl Route {
    fn shown(&self) -> Option<u8> {
        match self.known {
            Known::Shown(version) => Some(version),
            _ => None,
        }
    }

    fn end(&mut self) {
        if let Known::Shown(version) = self.known {
            self.known = Known::Gone(version);
        }
    }

    /// The only session that holds the peer says this.
    fn hear(&mut self, word: &Word, time: i64) -> Row {
        self.change = word.change;
        let replaced = self.since.map_or(Replaced::Any, |since| Replaced::Is(Some(since)));
        let Some(version) = word.version else {
            let was = std::mem::replace(&mut self.known, Known::Withdrawn);
            return match was {
                Known::Shown(_) => row(&["withdrawn"], replaced),
                Known::Never => {
                    self.known = Known::Never;
                    row(&["withdrawn-unknown"], Replaced::Is(None))
                }
                _ => row(&["withdrawn-unknown"], Replaced::Is(None)),
            };
        };
        let was = std::mem::replace(&mut self.known, Known::Shown(version));
        if was == Known::Shown(version) {
            return row(&["refresh"], Replaced::Is(None));
        }
        self.since = Some(time);
        match was {
            Known::Shown(_) => row(&["changed"], replaced),
            Known::Gone(before) if before == version => row(&["returned"], Replaced::Is(None)),
            Known::Unclear => row(&["new", "returned"], Replaced::Is(None)),
            _ => row(&["new"], Replaced::Is(None)),
        }
    }

    /// One of several sessions that hold the peer says this.
    fn hear_one(&mut self, word: &Word, time: i64) -> Row {
        if word.change <= self.change {
            return Row::NoNews;
        }
        if word.version == self.shown() {
            self.change = word.change;
            return Row::NoNews;
        }
        self.hear(word, time)
    }
}

fn row(change: &'static [&'static str], replaced: Replaced) -> Row {
    Row::Is { change, replaced }
}

/// How the sessions' counts of steps are, since the peer came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Steps {
    Right,
    /// The latest session came while the others were abreast, and nothing has changed since.
    JoinedQuietly,
    Upset,
}

/// A session's hold of a peer.
#[derive(Clone, Copy, Debug)]
struct Hold {
    /// Number of the Peer Up.
    number: u32,
    /// The router's time of it.
    stamp: Option<u64>,
}

/// What is claimed of a peer.
#[derive(Debug)]
pub(crate) struct Claims {
    peer: usize,
    /// Timestamps do not tell versions apart.
    coarse: bool,
    steps: Steps,
    /// Sessions that hold it by the topic.
    holds: BTreeMap<usize, Hold>,
    /// Sessions whose hold has ended by the word of another.
    overtaken: BTreeSet<usize>,
    /// Whether `routes` is what the tables say.
    exact: bool,
    routes: [Route; ROUTES],
    /// What each session has said of each route since its Peer Up; nothing is not there.
    said: BTreeMap<(usize, usize), Option<u8>>,
    /// Tables that a session may have left its mark on, and the number of what a Peer Up
    /// must be later than for its dump to clean them.
    marked: [Option<u32>; TABLES],
}

impl Claims {
    pub(crate) fn new(peer: usize, coarse: bool) -> Self {
        let route = Route { known: Known::Never, change: 0, since: None };
        Self {
            peer,
            coarse,
            steps: Steps::Right,
            holds: BTreeMap::new(),
            overtaken: BTreeSet::new(),
            exact: true,
            routes: [route; ROUTES],
            said: BTreeMap::new(),
            marked: [None; TABLES],
        }
    }

    /// A message has reached the topic; what the history must have of it.
    pub(crate) fn arrived(&mut self, arrival: &Arrival, network: &Network) -> Option<Row> {
        let session = arrival.session;
        match &arrival.said {
            Said::Up { told, number, endless } => {
                let known = self.holds.contains_key(&session) || self.overtaken.contains(&session);
                if *told == Told::Anew || !known {
                    let hold = Hold { number: *number, stamp: arrival.event.router_time };
                    self.up(session, hold, *endless, network);
                }
            }
            Said::Down(reason) => {
                self.down(session, *reason, arrival.event.router_time, network);
            }
            Said::Over(table) => {
                let clean = self.marked[*table] < self.holds.get(&session).map(|hold| hold.number);
                if clean {
                    self.marked[*table] = None;
                }
            }
            Said::Route { word, .. } => {
                let time = i64::try_from(arrival.event.received_at).unwrap();
                return Some(self.word(session, word, time, network));
            }
        }
        None
    }

    fn up(&mut self, session: usize, hold: Hold, endless: [bool; TABLES], network: &Network) {
        self.overtaken.remove(&session);
        if self.holds.remove(&session).is_some() {
            self.overtake(hold.stamp);
        }
        self.said.retain(|(other, _), _| *other != session);
        if self.holds.is_empty() {
            self.end_all();
            self.marked = [None; TABLES];
            self.exact = true;
            self.steps = Steps::Right;
        } else {
            let right = self.exact && self.steps != Steps::Upset && !self.is_behind(network);
            self.exact = false;
            self.steps = if right { Steps::JoinedQuietly } else { Steps::Upset };
            for (marked, endless) in self.marked.iter_mut().zip(endless) {
                if endless {
                    *marked = Some(network.change);
                }
            }
        }
        self.holds.insert(session, hold);
    }

    /// A session has told the end of what it held, at this time of the router.
    fn overtake(&mut self, end: Option<u64>) {
        let Some(end) = end else { return };
        let before = |hold: &Hold| hold.stamp.is_some_and(|stamp| stamp + 1_000_000 <= end);
        let overtaken = self.holds.iter().filter(|(_, hold)| before(hold));
        self.overtaken.extend(overtaken.map(|(session, _)| *session));
        self.holds.retain(|session, _| !self.overtaken.contains(session));
    }

    fn down(
        &mut self,
        session: usize,
        reason: PeerDownReason,
        stamp: Option<u64>,
        network: &Network,
    ) {
        self.overtaken.remove(&session);
        if self.holds.remove(&session).is_none() {
            return;
        }
        if reason != PeerDownReason::SessionLost {
            self.overtake(stamp);
        }
        if self.holds.is_empty() {
            self.end_all();
            self.exact = true;
        } else if reason != PeerDownReason::SessionLost || self.is_behind(network) {
            self.lose_count();
        }
    }

    fn lose_count(&mut self) {
        self.exact = false;
        self.steps = Steps::Upset;
    }

    /// Some session has not published all that it was sent.
    fn is_behind(&self, network: &Network) -> bool {
        let mut holders = self.holds.keys().map(|it| &network.sessions[*it]);
        holders.any(|it| it.waiting(self.peer).next().is_some())
    }

    fn end_all(&mut self) {
        for route in &mut self.routes {
            if self.exact {
                route.end();
            } else {
                route.known = Known::Unclear;
            }
        }
    }

    fn word(&mut self, session: usize, word: &Word, time: i64, network: &Network) -> Row {
        if self.overtaken.contains(&session) {
            return Row::NoNews;
        }
        if !self.holds.contains_key(&session) {
            return row(&["unheld"], Replaced::Is(None));
        }
        self.said.insert((session, word.route), word.version);
        if self.exact && self.holds.len() > 1 && self.upsets(session, word, network) {
            self.lose_count();
        }
        let route = &mut self.routes[word.route];
        if self.exact {
            return match self.holds.len() {
                1 => route.hear(word, time),
                _ => route.hear_one(word, time),
            };
        }
        if self.steps != Steps::JoinedQuietly || word.change != route.change {
            self.steps = Steps::Upset;
        }
        route.change = route.change.max(word.change);
        let silenced = |it: &usize| network.sessions[*it].state != State::Alive;
        if self.coarse && self.holds.keys().any(silenced) {
            // Taken for a step of the past, it is not said again by the other.
            self.marked[table_of(word.route)] = Some(network.change);
        }
        Row::Any
    }

    /// A session is about to end with what it has not published.
    pub(crate) fn ends(&mut self, session: usize, network: &Network) {
        let mut waiting = network.sessions[session].waiting(self.peer).peekable();
        let behind = waiting.peek().is_some();
        let around = !self.exact || waiting.any(|said| !matches!(said, Said::Route { .. }));
        let mut others = network.sessions.iter().enumerate();
        let alone = others.all(|(it, other)| it == session || other.state == State::Ended);
        if behind && around && !alone {
            self.lose_count();
            self.marked = [Some(network.change); TABLES];
        }
    }

    /// Whether a word upsets the count of steps.
    fn upsets(&self, session: usize, word: &Word, network: &Network) -> bool {
        let route = &self.routes[word.route];
        if !self.coarse {
            return false;
        }
        if word.change <= route.change {
            // A version that has come back: its first coming is an echo of its second.
            return word.change < route.change && word.version == route.shown();
        }
        let mut others = self.holds.keys().filter(|other| **other != session);
        others.any(|other| {
            // A word that changes nothing counts as a step once another has gone ahead.
            let mut before = self.said.get(&(*other, word.route)).copied().flatten();
            network.sessions[*other].waiting(self.peer).any(|said| match said {
                Said::Route { word: later, .. } if later.route == word.route => {
                    later.version == std::mem::replace(&mut before, later.version)
                        && later.change <= word.change
                        && word.version != route.shown()
                }
                _ => false,
            })
        })
    }

    /// What must be shown now.
    pub(crate) fn shown(&self, network: &Network) -> [Shown; ROUTES] {
        if !self.is_visible(network) {
            return [Shown::Is(None); ROUTES];
        }
        if self.exact {
            return self.routes.map(|route| Shown::Is(route.shown()));
        }
        [Shown::Any; ROUTES]
    }

    /// Some session holds it that is not silent.
    fn is_visible(&self, network: &Network) -> bool {
        self.holds.keys().any(|session| !network.sessions[*session].silent)
    }

    /// All that sessions in reach were sent has arrived; what must be shown then.
    pub(crate) fn settled(&mut self, network: &Network) -> [Shown; ROUTES] {
        let alive = network.sessions.iter().any(|session| session.state == State::Alive);
        if !alive || !network.is_up(self.peer) || !self.is_visible(network) {
            // A dead session that is not silent yet may hold the peer.
            return self.shown(network);
        }
        let cut_off = network.sessions.iter().filter(|it| it.state == State::Stalled);
        if !self.exact && cut_off.flat_map(|it| it.waiting(self.peer)).next().is_some() {
            // It has spoken of the past, and not come to its end.
            return [Shown::Any; ROUTES];
        }
        let truth = std::array::from_fn(|route| network.held(self.peer, route));
        if self.exact {
            let shown = self.routes.map(|route| route.shown());
            assert_eq!(shown, truth, "the model contradicts itself");
        }
        let shown = std::array::from_fn(|route| match self.marked[table_of(route)] {
            Some(_) => Shown::Any,
            None => Shown::Is(truth[route]),
        });
        if self.marked == [None; TABLES] {
            if !self.exact {
                self.routes = std::array::from_fn(|route| Route {
                    known: truth[route].map_or(Known::Unclear, Known::Shown),
                    change: network.changed(self.peer, route).unwrap_or(network.change),
                    since: None,
                });
            }
            let quietly = self.steps == Steps::JoinedQuietly;
            let counted = !self.coarse || quietly || self.holds.len() == 1;
            self.exact |= counted;
            if quietly {
                self.steps = Steps::Right;
            }
        }
        shown
    }
}
