//! BMP messages (RFC 7854, with RFC 8671 and RFC 9069).
//!
//! [`Message::parse`] reads one frame. All but the BGP messages inside of it is
//! checked here; the BGP messages are left to [`crate::bgp`], for how to read
//! them depends on what the session has heard before.

mod peer_down;
mod peer_header;
mod peer_up;
mod stats;
mod tlv;

pub use peer_down::PeerDown;
pub use peer_header::{PeerHeader, PeerId, View};
pub use peer_up::PeerUp;
pub use stats::{Statistic, StatsReport};
pub use tlv::{Tlv, Tlvs, type_of};

use crate::{
    frame::HEADER_LENGTH,
    wire::{Malformed, Reader},
};

/// A BMP message, borrowed from its frame.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// Type 0: BGP UPDATE messages of one peer, as yet unread.
    RouteMonitoring(PeerHeader, &'a [u8]),
    /// Type 1.
    StatsReport(PeerHeader, StatsReport<'a>),
    /// Type 2.
    PeerDown(PeerHeader, PeerDown<'a>),
    /// Type 3.
    PeerUp(PeerHeader, PeerUp<'a>),
    /// Type 4.
    Initiation(Tlvs<'a>),
    /// Type 5.
    Termination(Tlvs<'a>),
    /// Type 6.
    RouteMirroring(PeerHeader, Tlvs<'a>),
    /// Any other type.
    Unknown(u8),
}

impl<'a> Message<'a> {
    /// Reads the message in `frame`, a whole frame with its header.
    pub fn parse(frame: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(frame);
        let header = reader.array::<HEADER_LENGTH>("common header")?;
        let [_, _, _, _, _, kind] = header;
        let message = match kind {
            0 => Self::RouteMonitoring(PeerHeader::parse(&mut reader)?, reader.take_rest()),
            1 => Self::StatsReport(
                PeerHeader::parse(&mut reader)?,
                StatsReport::parse(reader.take_rest())?,
            ),
            2 => Self::PeerDown(
                PeerHeader::parse(&mut reader)?,
                PeerDown::parse(reader.take_rest())?,
            ),
            3 => {
                let header = PeerHeader::parse(&mut reader)?;
                Self::PeerUp(header, PeerUp::parse(reader.take_rest(), &header)?)
            }
            4 => Self::Initiation(Tlvs::parse(reader.take_rest(), "initiation TLV")?),
            5 => Self::Termination(Tlvs::parse(reader.take_rest(), "termination TLV")?),
            6 => Self::RouteMirroring(
                PeerHeader::parse(&mut reader)?,
                Tlvs::parse(reader.take_rest(), "route mirroring TLV")?,
            ),
            kind => Self::Unknown(kind),
        };
        Ok(message)
    }
}

/// The kinds of message, as counted and as named in summaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(usize)]
pub enum Kind {
    /// Type 0.
    RouteMonitoring,
    /// Type 1.
    StatsReport,
    /// Type 2.
    PeerDown,
    /// Type 3.
    PeerUp,
    /// Type 4.
    Initiation,
    /// Type 5.
    Termination,
    /// Type 6.
    RouteMirroring,
    /// Any other type.
    Unknown,
}

impl Kind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 8] = [
        Self::RouteMonitoring,
        Self::StatsReport,
        Self::PeerDown,
        Self::PeerUp,
        Self::Initiation,
        Self::Termination,
        Self::RouteMirroring,
        Self::Unknown,
    ];

    /// The kind of the message in `frame`.
    #[must_use]
    pub fn of(frame: &[u8]) -> Self {
        frame.get(HEADER_LENGTH - 1).map_or(Self::Unknown, |&kind| {
            Self::ALL.get(usize::from(kind)).copied().unwrap_or(Self::Unknown)
        })
    }

    /// The name in metrics and summaries.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RouteMonitoring => "route-monitoring",
            Self::StatsReport => "stats-report",
            Self::PeerDown => "peer-down",
            Self::PeerUp => "peer-up",
            Self::Initiation => "initiation",
            Self::Termination => "termination",
            Self::RouteMirroring => "route-mirroring",
            Self::Unknown => "unknown",
        }
    }
}
