//! BMP messages (RFC 7854, with RFC 8671 and RFC 9069; drafts of version 4).
//!
//! [`Message::parse`] reads one frame. All but the BGP messages inside of it is
//! checked here; the BGP messages are left to [`crate::bgp`], for how to read
//! them depends on what the session has heard before.

mod peer_down;
mod peer_header;
mod peer_up;
mod route_monitoring;
mod stats;
mod tlv;

pub use peer_down::PeerDown;
pub use peer_header::{PeerHeader, PeerId, View};
pub use peer_up::PeerUp;
pub use route_monitoring::{Meaning, RouteMonitoring, RouteTlv};
pub use stats::{Statistic, StatsReport};
pub use tlv::{Tlv, Tlvs, type_of};

use crate::{
    frame::{HEADER_LENGTH, VERSION_4},
    wire::{Malformed, Reader},
};

/// A BMP message, borrowed from its frame.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    /// Type 0.
    RouteMonitoring(PeerHeader, RouteMonitoring<'a>),
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
        let [version, _, _, _, _, kind] = reader.array::<HEADER_LENGTH>("common header")?;
        let rest = &mut reader;
        Ok(match kind {
            0 => {
                let header = PeerHeader::parse(rest)?;
                Self::RouteMonitoring(header, RouteMonitoring::parse(rest.take_rest(), version)?)
            }
            1 => {
                let header = PeerHeader::parse(rest)?;
                Self::StatsReport(header, StatsReport::parse(rest.take_rest(), version)?)
            }
            2 => {
                let header = PeerHeader::parse(rest)?;
                Self::PeerDown(header, PeerDown::parse(rest.take_rest(), version)?)
            }
            3 => {
                let header = PeerHeader::parse(rest)?;
                Self::PeerUp(header, PeerUp::parse(rest.take_rest(), &header)?)
            }
            4 => Self::Initiation(Tlvs::parse(rest.take_rest(), "initiation TLV")),
            5 => Self::Termination(Tlvs::parse(rest.take_rest(), "termination TLV")),
            6 => {
                let header = PeerHeader::parse(rest)?;
                Self::RouteMirroring(header, mirroring_tlvs(rest.take_rest(), version))
            }
            kind => Self::Unknown(kind),
        })
    }

    /// Why a part at the end of the message could not be read, if so: what is
    /// before it stands. What is left of a Peer Up or Peer Down is in its event.
    #[must_use]
    pub const fn broken(&self) -> Option<Malformed> {
        match self {
            Self::RouteMonitoring(_, message) => message.broken,
            Self::StatsReport(_, report) => report.broken(),
            Self::Initiation(tlvs) | Self::Termination(tlvs) | Self::RouteMirroring(_, tlvs) => {
                tlvs.broken
            }
            Self::PeerDown(..) | Self::PeerUp(..) | Self::Unknown(_) => None,
        }
    }
}

/// The TLVs of a Route Mirroring, which late drafts of version 4 give an index.
fn mirroring_tlvs(bytes: &[u8], version: u8) -> Tlvs<'_> {
    const WHAT: &str = "route mirroring TLV";
    let plain = Tlvs::parse(bytes, WHAT);
    if version == VERSION_4 && plain.broken.is_some() {
        let indexed = Tlvs::parse_indexed(bytes, WHAT);
        if indexed.broken.is_none() {
            return indexed;
        }
    }
    plain
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
