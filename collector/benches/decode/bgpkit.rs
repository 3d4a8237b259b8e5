//! bgpkit-parser, which copies.

use std::hint::black_box;

use bgpkit_parser::{
    models::{AttributeValue, BgpMessage},
    parse_bmp_msg,
    parser::bmp::messages::BmpMessageBody,
};
use bytes::Bytes;

use crate::Tally;

/// A frame as it wants it: to clone one for each parse is but a count.
pub(crate) fn own(frame: &'static [u8]) -> Bytes {
    Bytes::from_static(frame)
}

pub(crate) fn parse(frame: &Bytes) {
    let _ = black_box(parse_bmp_msg(&mut frame.clone()));
}

pub(crate) fn walk(frame: &Bytes, tally: &mut Tally) {
    let Ok(message) = parse_bmp_msg(&mut frame.clone()) else { return };
    let BmpMessageBody::RouteMonitoring(monitoring) = &message.message_body else { return };
    let BgpMessage::Update(update) = &monitoring.bgp_message else { return };
    for attribute in &update.attributes {
        match attribute {
            AttributeValue::AsPath(path) => {
                for segment in path.iter_segments() {
                    segment.as_ref().iter().for_each(|asn| tally.asn(asn.to_u32()));
                }
            }
            AttributeValue::MpReachNlri(nlri) | AttributeValue::MpUnreachNlri(nlri) => {
                nlri.prefixes.iter().for_each(|n| tally.prefix(n.prefix.prefix_len()));
            }
            _ => {}
        }
    }
    for route in update.announced_prefixes.iter().chain(&update.withdrawn_prefixes) {
        tally.prefix(route.prefix.prefix_len());
    }
    black_box(message);
}
