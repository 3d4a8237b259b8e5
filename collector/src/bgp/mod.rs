//! BGP messages as BMP carries them (RFC 4271 and what extends it).

mod as_path;
mod attributes;
mod link_state;
mod nlri;
mod notification;
mod open;
mod route_refresh;
mod update;

pub use as_path::{AsPath, AsWidth, Segment, SegmentType};
pub use attributes::{
    Aggregator, AttributeError, Attributes, RawAttribute, Verdict, attribute_type,
};
pub use nlri::{NlriField, Nlris, PathIds, Prefix, Prefixes, TypedNlri, TypedNlris};
pub use notification::Notification;
pub use open::{AddPathMode, Capability, Open};
pub use route_refresh::RouteRefresh;
pub use update::{ReadAs, Update};

use crate::wire::{Malformed, Reader};

/// Octets of the BGP message header: marker 16, length 2, type 1.
pub const HEADER_LENGTH: u16 = 19;

/// What a BGP message begins with (RFC 4271, 4.1).
pub const MARKER: [u8; 16] = [0xff; 16];

/// BGP message types (IANA).
pub mod message_type {
    /// OPEN.
    pub const OPEN: u8 = 1;
    /// UPDATE.
    pub const UPDATE: u8 = 2;
    /// NOTIFICATION.
    pub const NOTIFICATION: u8 = 3;
    /// KEEPALIVE.
    pub const KEEPALIVE: u8 = 4;
    /// ROUTE-REFRESH (RFC 2918).
    pub const ROUTE_REFRESH: u8 = 5;
    /// ROUTE-REFRESH before it had a number.
    pub const PRESTANDARD_ROUTE_REFRESH: u8 = 128;
}

/// A BGP message: its type and what follows the header (RFC 4271, 4.1).
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// By number, see [`message_type`].
    pub kind: u8,
    /// What follows the header.
    pub body: &'a [u8],
    /// The whole message.
    pub raw: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads one message. Lengths beyond 4096 octets are taken as they are (RFC
    /// 8654); the marker has no meaning any more and is not looked at.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        const WHAT: &str = "BGP message header";
        let start = reader.rest();
        let mut header = *reader;
        header.take(16, WHAT)?;
        let length = header.u16(WHAT)?;
        let kind = header.u8(WHAT)?;
        if length < HEADER_LENGTH {
            return Err(Malformed::Length { what: "BGP message", length: length.into() });
        }
        let raw = reader.take(length.into(), "BGP message")?;
        let body = start.get(HEADER_LENGTH.into()..length.into()).unwrap_or_default();
        Ok(Self { kind, body, raw })
    }
}
