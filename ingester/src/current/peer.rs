//! What is known of a peer: which sessions hold it, since when, and what they
//! have said of its tables.

use std::collections::BTreeMap;

use ribstream_proto::v1::PeerDownReason;

use crate::rows::{PeerSays, Place, RibTable, Told};

/// How much earlier than it should be a router's timestamp may be, in microseconds: FRR and
/// GoBGP cut that of a Peer Up to whole seconds.
const CUT: i64 = 1_000_000;

/// A session's word on a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It has said neither that the peer is up nor that it is down.
    Nothing,
    /// It holds the peer.
    Up,
    /// It said that the peer is down, or ended.
    Down,
    /// It holds the peer as it was before another session told that it went down: it has that
    /// still to say, or its collector is dead.
    Overtaken,
}

/// What one BMP session has said of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The session.
    pub session: i64,
    /// Its latest word.
    pub word: Word,
    /// When the hold began, or was told anew: receive time of the Peer Up.
    pub began: i64,
    /// When that came into the topic.
    pub logged: i64,
    /// The router's time of the Peer Up.
    pub router_time: Option<i64>,
    /// Number of the message before the first that may speak of the held peer's routes.
    pub began_sequence: i64,
    /// Number of the latest event of the peer in the session; 0 where it does not count.
    pub peer_sequence: i64,
    /// When it ended.
    pub ended: Option<i64>,
    /// Why, as a Peer Down says it.
    pub end_reason: Option<i32>,
    /// To be written.
    pub changed: bool,
}

/// A stretch in which at least one session held the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Its number: 1 for a peer's first.
    pub number: i32,
    /// Receive time of the event that began it.
    pub began: i64,
    /// That event's session.
    pub session: i64,
    /// And its number there.
    pub sequence: i64,
    /// How it ended, where it has.
    pub end: Option<End>,
}

/// The end of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Receive time of the event that ended it.
    pub time: i64,
    /// That event's session.
    pub session: i64,
    /// And its number there.
    pub sequence: i64,
    /// Why, as a Peer Down says it; absent where the peer came up again without one.
    pub reason: Option<i32>,
}

/// Since when a table's routes count: its latest complete dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dump {
    /// The session that dumped.
    pub session: i64,
    /// Number of the message before the dump's first.
    pub sequence: i64,
    /// Receive time of the Peer Up before it.
    pub began: i64,
    /// When that came into the topic.
    pub logged: i64,
    /// Receive time of the message that ended it.
    pub ended: i64,
}

impl Dump {
    /// When it began, to be compared with what other sessions told: by when that came into the
    /// topic. Of events that came at once, which is what one collector sends in one batch, the
    /// receive times tell which was first.
    #[must_use]
    pub fn when(&self) -> (i64, i64) {
        (self.logged, self.began)
    }
}

/// Events of a peer that are missing in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The session.
    pub session: i64,
    /// Receive time of the event behind the gap.
    pub time: i64,
    /// Number of the event before it.
    pub after: i64,
    /// Number of the event behind it.
    pub before: i64,
}

/// How an event stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It is the next, or its collector does not count.
    Next,
    /// It was read already.
    Duplicate,
}

/// A peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerState {
    /// What sessions have said: those that hold it, and those of this batch.
    pub holds: Vec<Hold>,
    /// The latest epoch.
    pub epoch: Option<Epoch>,
    /// Latest complete dumps.
    pub dumps: BTreeMap<RibTable, Dump>,
    /// Epochs that have begun or ended.
    pub epochs: Vec<Epoch>,
    /// Dumps to be written, in order.
    pub new_dumps: Vec<(RibTable, Dump)>,
    /// Gaps to be written.
    pub gaps: Vec<Gap>,
    /// What the latest Peer Up or Peer Down said by the way.
    pub says: Option<PeerSays>,
}

impl PeerState {
    /// Takes note of an event's number.
    pub fn number(&mut self, place: &Place) -> Order {
        let hold = self.hold(place.session);
        if place.peer_sequence == 0 {
            return Order::Next;
        }
        let known = hold.peer_sequence;
        if place.peer_sequence <= known {
            return Order::Duplicate;
        }
        hold.peer_sequence = place.peer_sequence;
        hold.changed = true;
        // Of a session that began before the topic's first record nothing is known.
        if known != 0 && place.peer_sequence > known + 1 {
            self.gaps.push(Gap {
                session: place.session,
                time: place.time,
                after: known,
                before: place.peer_sequence,
            });
        }
        Order::Next
    }

    /// A Peer Up.
    pub fn up(&mut self, place: &Place, told: Told) {
        let was_up = self.is_up();
        let alone = self.holders(place.session).next().is_none();
        let hold = self.hold(place.session);
        match (hold.word, told) {
            (Word::Up | Word::Overtaken, Told::ForAnotherTable)
            | (Word::Overtaken, Told::Again) => return,
            (Word::Up, Told::Again) => {
                // The epoch goes on. What a dump now leaves out is gone, unless other sessions
                // hold the peer: their words may be ahead of the dump.
                if alone {
                    hold.began = place.time;
                    hold.logged = place.logged;
                    hold.began_sequence = place.sequence;
                    hold.changed = true;
                }
                return;
            }
            _ => {}
        }
        let again = hold.word == Word::Up;
        hold.begin(place, place.sequence);
        if again {
            self.overtake(place, None);
        }
        if again && self.holders(place.session).next().is_none() {
            // Up again without a Peer Down: the BGP session has begun anew.
            self.end_epoch(place, None);
            self.begin_epoch(place);
        } else if !was_up {
            self.begin_epoch(place);
        }
    }

    /// A Route Monitoring: it holds the peer where the session has said neither up nor down.
    pub fn monitored(&mut self, place: &Place) {
        let was_up = self.is_up();
        let hold = self.hold(place.session);
        if hold.word != Word::Nothing {
            return;
        }
        hold.begin(place, place.sequence - 1);
        if !was_up {
            self.begin_epoch(place);
        }
    }

    /// A Peer Down, or the session's end.
    pub fn down(&mut self, place: &Place, reason: i32) {
        let was_up = self.is_up();
        let hold = self.hold(place.session);
        if hold.word == Word::Up {
            hold.ended = Some(place.time);
            hold.end_reason = Some(reason);
        }
        let lasted = hold.word == Word::Up;
        hold.word = Word::Down;
        hold.changed = true;
        if lasted && tells_of_the_peer(reason) {
            self.overtake(place, Some(reason));
        }
        if was_up && !self.is_up() {
            self.end_epoch(place, Some(reason));
        }
    }

    /// The router has told of an end of the peer's BGP session: other sessions' holds from
    /// before have ended with it. Only the router's own time tells which they are: a session
    /// that is ahead may have told of the next beginning already.
    fn overtake(&mut self, place: &Place, reason: Option<i32>) {
        let Some(end) = place.router_time else { return };
        for hold in &mut self.holds {
            let before = hold.router_time.is_some_and(|began| began.saturating_add(CUT) <= end);
            if hold.word == Word::Up && hold.session != place.session && before {
                hold.word = Word::Overtaken;
                hold.ended = Some(place.time);
                hold.end_reason = reason;
                hold.changed = true;
            }
        }
    }

    /// The dump of a table is over.
    pub fn dump_over(&mut self, place: &Place, table: RibTable) {
        let Some(hold) = self.held_by(place.session) else { return };
        let dump = Dump {
            session: place.session,
            sequence: hold.began_sequence,
            began: hold.began,
            logged: hold.logged,
            ended: place.time,
        };
        // One that began earlier and took longer leaves out nothing that this one has not.
        if self.dumps.get(&table).is_some_and(|known| known.when() > dump.when()) {
            return;
        }
        self.dumps.insert(table, dump);
        self.new_dumps.push((table, dump));
    }

    /// Whether any session holds it.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.holds.iter().any(|hold| hold.word == Word::Up)
    }

    /// The hold of a session, while it lasts.
    #[must_use]
    pub fn held_by(&self, session: i64) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.session == session && hold.word == Word::Up)
    }

    /// Whether all that a session says of the peer's routes is past.
    #[must_use]
    pub fn is_overtaken(&self, session: i64) -> bool {
        self.holds.iter().any(|hold| hold.session == session && hold.word == Word::Overtaken)
    }

    /// The other sessions that hold it.
    pub fn holders(&self, except: i64) -> impl Iterator<Item = &Hold> {
        self.holds.iter().filter(move |hold| hold.word == Word::Up && hold.session != except)
    }

    /// Number of the latest epoch.
    #[must_use]
    pub fn epoch_number(&self) -> i32 {
        self.epoch.as_ref().map_or(0, |epoch| epoch.number)
    }

    fn hold(&mut self, session: i64) -> &mut Hold {
        let known = self.holds.iter().position(|hold| hold.session == session);
        let index = known.unwrap_or(self.holds.len());
        if known.is_none() {
            self.holds.push(Hold {
                session,
                word: Word::Nothing,
                began: 0,
                logged: 0,
                router_time: None,
                began_sequence: 0,
                peer_sequence: 0,
                ended: None,
                end_reason: None,
                changed: false,
            });
        }
        &mut self.holds[index]
    }

    fn begin_epoch(&mut self, place: &Place) {
        let epoch = Epoch {
            number: self.epoch_number() + 1,
            began: place.time,
            session: place.session,
            sequence: place.sequence,
            end: None,
        };
        self.epoch = Some(epoch.clone());
        self.epochs.push(epoch);
    }

    fn end_epoch(&mut self, place: &Place, reason: Option<i32>) {
        let Some(epoch) = &mut self.epoch else { return };
        let Place { time, session, sequence, .. } = *place;
        epoch.end = Some(End { time, session, sequence, reason });
        self.epochs.retain(|known| known.number != epoch.number);
        self.epochs.push(epoch.clone());
    }
}

impl Hold {
    fn begin(&mut self, place: &Place, sequence: i64) {
        self.word = Word::Up;
        self.began = place.time;
        self.logged = place.logged;
        self.router_time = place.router_time;
        self.began_sequence = sequence;
        self.ended = None;
        self.end_reason = None;
        self.changed = true;
    }
}

/// Whether a Peer Down says that the peer's BGP session has ended, and not only what a BMP
/// session brings of it.
fn tells_of_the_peer(reason: i32) -> bool {
    reason != PeerDownReason::SessionLost as i32
        && reason != PeerDownReason::PeerDeConfigured as i32
}
