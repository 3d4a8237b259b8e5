//! NetGauze, which copies.

use std::{cell::RefCell, hint::black_box};

use netgauze_bgp_pkt::{
    BgpMessage,
    path_attribute::{AsPath, MpReach, MpUnreach, PathAttributeValue},
};
use netgauze_bmp_pkt::{BmpMessage, v3::BmpMessageValue, wire::deserializer::BmpParsingContext};
use netgauze_parse_utils::{reader::SliceReader, traits::ParseFromWithOneInput};

use crate::Tally;

/// What it keeps of each peer.
pub(crate) type Context = RefCell<BmpParsingContext>;

pub(crate) fn parse(frame: &&[u8], context: &Context) {
    let message = BmpMessage::parse(&mut SliceReader::new(frame), &mut context.borrow_mut());
    let _ = black_box(message);
}

pub(crate) fn walk(frame: &&[u8], context: &Context, tally: &mut Tally) {
    let message = BmpMessage::parse(&mut SliceReader::new(frame), &mut context.borrow_mut());
    let Ok(BmpMessage::V3(BmpMessageValue::RouteMonitoring(monitoring))) = &message else {
        return;
    };
    let BgpMessage::Update(update) = monitoring.update_message() else { return };
    for attribute in update.path_attributes() {
        match attribute.value() {
            PathAttributeValue::AsPath(AsPath::As4PathSegments(segments)) => {
                for segment in segments {
                    segment.as_numbers().iter().for_each(|&asn| tally.asn(asn));
                }
            }
            PathAttributeValue::AsPath(AsPath::As2PathSegments(segments)) => {
                for segment in segments {
                    segment.as_numbers().iter().for_each(|&asn| tally.asn(asn.into()));
                }
            }
            PathAttributeValue::MpReach(MpReach::Ipv6Unicast { nlri, .. })
            | PathAttributeValue::MpUnreach(MpUnreach::Ipv6Unicast { nlri }) => {
                nlri.iter().for_each(|n| tally.prefix(n.network().address().prefix_len()));
            }
            PathAttributeValue::MpReach(MpReach::Ipv4Unicast { nlri, .. })
            | PathAttributeValue::MpUnreach(MpUnreach::Ipv4Unicast { nlri }) => {
                nlri.iter().for_each(|n| tally.prefix(n.network().address().prefix_len()));
            }
            _ => {}
        }
    }
    for route in update.nlri().iter().chain(update.withdraw_routes()) {
        tally.prefix(route.network().address().prefix_len());
    }
    let _ = black_box(message);
}
