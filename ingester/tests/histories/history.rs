//! What may happen to a router, its peers, its sessions and their collectors, at random.

use std::fmt;

use proptest::{collection::vec, prelude::*};

use crate::network::{PEERS, ROUTES, VERSIONS, version_in};

/// What the router writes into the timestamp of its Per-Peer Headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamps {
    /// Zero.
    None,
    /// When it had the route, as RFC 7854 says.
    OfChange,
    /// When it wrote the message.
    WhenWritten,
    /// When it had the route, in whole seconds.
    WholeSeconds,
}

impl Stamps {
    pub(crate) const ALL: [Self; 4] =
        [Self::None, Self::OfChange, Self::WhenWritten, Self::WholeSeconds];

    /// Two different versions may have the same.
    pub(crate) fn are_coarse(self) -> bool {
        matches!(self, Self::None | Self::WholeSeconds)
    }
}

/// How a session ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// The router closes, or sends a Termination: the collector reads to the end.
    Close,
    /// The connection is lost, with what was under way. The collector says so.
    Reset,
    /// The collector is killed, and says nothing.
    Kill,
}

/// One thing that happens. What cannot happen as things are does not.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Announce {
        peer: usize,
        route: usize,
        version: u8,
    },
    Withdraw {
        peer: usize,
        route: usize,
    },
    /// The peer comes up with a table, or, where it is up, anew without having gone down.
    Up {
        peer: usize,
        table: u16,
    },
    Down {
        peer: usize,
    },
    /// A withdrawal behind the Peer Down, as some routers send them.
    Stray {
        peer: usize,
        route: usize,
    },
    /// The router sends what the peer holds once more.
    Refresh {
        peer: usize,
    },
    /// The router tells a session once more that the peer is up, and what it holds.
    Repeat {
        peer: usize,
        collector: usize,
    },
    Connect {
        collector: usize,
    },
    End {
        collector: usize,
        how: Ending,
    },
    /// The collector does not get through to Kafka any more; and does again.
    Stall {
        collector: usize,
    },
    Resume {
        collector: usize,
    },
    /// Sessions of which nothing is heard count as silent.
    Silence,
    /// Messages of a session reach the topic.
    Read {
        collector: usize,
        messages: usize,
    },
    /// All that is under way reaches the topic: of this collector first, or in turns.
    Settle {
        first: Option<usize>,
    },
}

/// A router and what happens to it.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) stamps: Stamps,
    /// The router ends its dumps with End-of-RIB.
    pub(crate) end_of_rib: bool,
    /// The router leaves out versions that a slow session has not taken yet.
    pub(crate) leaves_out: bool,
    /// How many events the ingester takes into a batch.
    pub(crate) batch: usize,
    pub(crate) steps: Vec<Step>,
}

fn step() -> impl Strategy<Value = Step> {
    let (peer, route, collector) = (|| 0..PEERS, || 0..ROUTES, || 0..2_usize);
    let ending = prop_oneof![Just(Ending::Close), Just(Ending::Reset), Just(Ending::Kill)];
    prop_oneof![
        8 => (peer(), route(), 0..VERSIONS)
            .prop_map(|(peer, route, version)| Step::Announce { peer, route, version }),
        4 => (peer(), route()).prop_map(|(peer, route)| Step::Withdraw { peer, route }),
        2 => (peer(), any::<u16>()).prop_map(|(peer, table)| Step::Up { peer, table }),
        1 => peer().prop_map(|peer| Step::Down { peer }),
        1 => (peer(), route()).prop_map(|(peer, route)| Step::Stray { peer, route }),
        1 => peer().prop_map(|peer| Step::Refresh { peer }),
        1 => (peer(), collector()).prop_map(|(peer, collector)| Step::Repeat { peer, collector }),
        3 => collector().prop_map(|collector| Step::Connect { collector }),
        1 => (collector(), ending).prop_map(|(collector, how)| Step::End { collector, how }),
        1 => collector().prop_map(|collector| Step::Stall { collector }),
        1 => collector().prop_map(|collector| Step::Resume { collector }),
        1 => Just(Step::Silence),
        8 => (collector(), 1..8_usize)
            .prop_map(|(collector, messages)| Step::Read { collector, messages }),
        4 => prop_oneof![Just(None), Just(Some(0)), Just(Some(1))]
            .prop_map(|first| Step::Settle { first }),
    ]
}

/// Any history. It begins with two peers that are up and a session.
pub(crate) fn history(stamps: Stamps, steps: usize) -> impl Strategy<Value = History> {
    (any::<bool>(), any::<bool>(), 1..9_usize, vec(step(), 1..steps)).prop_map(
        move |(end_of_rib, leaves_out, batch, mut steps)| {
            steps.insert(0, Step::Up { peer: 0, table: 0b0100_1001 });
            steps.insert(1, Step::Up { peer: 1, table: 0b10_0100_1001 });
            steps.insert(2, Step::Connect { collector: 0 });
            steps.push(Step::Settle { first: None });
            History { stamps, end_of_rib, leaves_out, batch, steps }
        },
    )
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |collector: &usize| if *collector == 0 { 'A' } else { 'B' };
        match self {
            Self::Announce { peer, route, version } => {
                write!(f, "peer {peer} announces {route} as v{version}")
            }
            Self::Withdraw { peer, route } => write!(f, "peer {peer} withdraws {route}"),
            Self::Up { peer, table } => {
                write!(f, "peer {peer} comes up:")?;
                (0..ROUTES)
                    .filter_map(|route| Some((route, version_in(*table, route)?)))
                    .try_for_each(|(route, version)| write!(f, " {route} v{version}"))
            }
            Self::Down { peer } => write!(f, "peer {peer} goes down"),
            Self::Stray { peer, route } => write!(f, "peer {peer} is down and withdraws {route}"),
            Self::Refresh { peer } => write!(f, "peer {peer} is sent again"),
            Self::Repeat { peer, collector } => {
                write!(f, "peer {peer} is told to {} again", name(collector))
            }
            Self::Connect { collector } => write!(f, "{} is connected", name(collector)),
            Self::End { collector, how } => write!(f, "{} ends: {how:?}", name(collector)),
            Self::Stall { collector } => write!(f, "{} is cut off", name(collector)),
            Self::Resume { collector } => write!(f, "{} gets through again", name(collector)),
            Self::Silence => write!(f, "silence is noticed"),
            Self::Read { collector, messages } => {
                write!(f, "{} publishes {messages}", name(collector))
            }
            Self::Settle { first: None } => write!(f, "all publish all, in turns"),
            Self::Settle { first: Some(first) } => {
                write!(f, "all publish all, {} first", name(first))
            }
        }
    }
}
