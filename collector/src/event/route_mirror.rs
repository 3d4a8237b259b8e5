//! A Route Mirroring message as `ribstream.v1.RouteMirror`.

use super::{Writer, convert, route_update};
use crate::{
    bgp::{Notification, Open, RouteRefresh, Update},
    bmp::Tlv,
};

/// A mirrored BGP message (IANA, BGP Message Types).
#[derive(Debug)]
pub struct Mirrored<'a> {
    /// Its type.
    pub kind: u8,
    /// What it says, as far as it could be read.
    pub content: Option<Content<'a>>,
    /// Why it could not be read to its end.
    pub error: Option<String>,
}

/// What a mirrored BGP message says.
#[derive(Debug)]
pub enum Content<'a> {
    /// An OPEN.
    Open(Open<'a>),
    /// An UPDATE.
    Update(route_update::Context, Box<Update<'a>>),
    /// A NOTIFICATION.
    Notification(Notification<'a>),
    /// A ROUTE-REFRESH.
    RouteRefresh(RouteRefresh<'a>),
    /// A KEEPALIVE: nothing.
    Keepalive,
}

/// TLV type of a BGP message (RFC 7854, 4.7).
pub const BGP_MESSAGE: u16 = 0;
/// TLV type of an information code (RFC 7854, 4.7).
const INFORMATION: u16 = 1;

/// Writes the body for one Route Mirroring message.
pub fn write(writer: &mut Writer, tlvs: &[(Tlv<'_>, Option<Mirrored<'_>>)]) {
    writer.message(convert::body::ROUTE_MIRROR, |w| {
        for (tlv, mirrored) in tlvs {
            w.message(1, |w| {
                w.uint(1, tlv.kind.into());
                w.bytes(2, tlv.value);
                if let Some(mirrored) = mirrored {
                    w.message(3, |w| write_message(w, mirrored));
                }
                if let (INFORMATION, &[high, low]) = (tlv.kind, tlv.value) {
                    w.optional_uint(4, u16::from_be_bytes([high, low]).into());
                }
            });
        }
    });
}

fn write_message(w: &mut Writer, mirrored: &Mirrored<'_>) {
    w.uint(1, mirrored.kind.into());
    w.bytes(2, mirrored.error.as_deref().unwrap_or_default().as_bytes());
    match &mirrored.content {
        Some(Content::Open(open)) => w.prost(3, &convert::open(open)),
        Some(Content::Update(context, update)) => {
            w.message(4, |w| route_update::write_update(w, context, update));
        }
        Some(Content::Notification(notification)) => {
            w.prost(5, &convert::notification(notification));
        }
        Some(Content::RouteRefresh(refresh)) => w.prost(6, &convert::route_refresh(refresh)),
        Some(Content::Keepalive) | None => {}
    }
}
