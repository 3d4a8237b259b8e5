//! The BGP messages of Route Mirroring messages (RFC 7854, 4.7).
//!
//! They are what the peer sent, octet by octet, so that its OPENs say how to read
//! them. What they look like says nothing of how the router writes its Route
//! Monitoring: nothing is learned from them, and they hold no peer up.

use ribstream_proto::family::AfiSafi;

use super::{peer::Peer, updates};
use crate::{
    bgp::{self, AsWidth, Notification, Open, PathIds, ReadAs, RouteRefresh, Update, message_type},
    bmp::{PeerHeader, Tlv, Tlvs},
    event::route_mirror::{BGP_MESSAGE, Content, Mirrored},
    wire::{Malformed, Reader},
};

/// Each TLV, with its BGP message if it has one.
pub(super) fn read<'f>(
    peer: &Peer,
    header: &PeerHeader,
    tlvs: &Tlvs<'f>,
) -> Vec<(Tlv<'f>, Option<Mirrored<'f>>)> {
    let read = |tlv: Tlv<'f>| {
        // The number of the type changed with the drafts of BMP version 4.
        let is_message = tlv.kind == BGP_MESSAGE || tlv.value.starts_with(&bgp::MARKER);
        (tlv, is_message.then(|| message(peer, header, tlv.value)))
    };
    tlvs.iter().map(read).collect()
}

fn message<'f>(peer: &Peer, header: &PeerHeader, bytes: &'f [u8]) -> Mirrored<'f> {
    let mut reader = Reader::new(bytes);
    let mut kind = 0;
    let content = bgp::Message::read(&mut reader).and_then(|message| {
        kind = message.kind;
        content(peer, header, message)
    });
    let (content, error) = match (content, reader.finish("BGP message")) {
        (Ok(content), Ok(())) => (Some(content), None),
        (Ok(content), Err(error)) => (Some(content), Some(error.to_string())),
        (Err(error), _) => (None, Some(error.to_string())),
    };
    Mirrored { kind, content, error }
}

fn content<'f>(
    peer: &Peer,
    header: &PeerHeader,
    message: bgp::Message<'f>,
) -> Result<Content<'f>, Malformed> {
    Ok(match message.kind {
        message_type::OPEN => Content::Open(Open::parse(message.raw)),
        message_type::UPDATE => {
            let view = header.view();
            let update = Update::parse(message, &mut AsNegotiated { peer, header })?;
            let promised =
                |field: &bgp::NlriField<'_>| peer.path_ids_negotiated(view, field.family);
            let context = updates::context(header, &update, promised);
            Content::Update(context, Box::new(update))
        }
        message_type::NOTIFICATION => Content::Notification(Notification::parse(message)?),
        message_type::KEEPALIVE => Content::Keepalive,
        message_type::ROUTE_REFRESH | message_type::PRESTANDARD_ROUTE_REFRESH => {
            Content::RouteRefresh(RouteRefresh::parse(message.body)?)
        }
        kind => {
            return Err(Malformed::Value { what: "type of a BGP message", value: kind.into() });
        }
    })
}

/// Reads as the OPENs say, and learns nothing.
struct AsNegotiated<'p> {
    peer: &'p Peer,
    header: &'p PeerHeader,
}

impl ReadAs for AsNegotiated<'_> {
    fn as_width(&self) -> AsWidth {
        self.peer.as_width(self.header)
    }

    fn path_ids(&self, family: AfiSafi) -> PathIds {
        self.peer.path_ids_negotiated(self.header.view(), family)
    }

    fn learn_path_ids(&mut self, _: AfiSafi, _: PathIds) {}
}
