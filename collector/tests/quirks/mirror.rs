//! Route Mirroring.

use ribstream_proto::v1::{MirroredTlv, RibView, bgp_message, event::Body};
use ribstream_testkit::captures::capture;

use crate::{PREFIX, support::*};

fn mirroring(tlvs: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = peer_header(0, 0);
    for (kind, value) in tlvs {
        body.extend(kind.to_be_bytes());
        body.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(*value);
    }
    bmp(6, &body)
}

fn mirrored(heard: &Heard) -> Vec<MirroredTlv> {
    let mirrors = heard.bodies().into_iter().filter_map(|body| match body {
        Body::RouteMirror(mirror) => Some(mirror.tlvs.clone()),
        _ => None,
    });
    mirrors.flatten().collect()
}

#[test]
fn every_kind_of_mirrored_message_is_decoded_and_kept() {
    let open = open(65011, &[(65, &65011_u32.to_be_bytes())]);
    let update = update(&[], &base_attributes(), &PREFIX);
    let refresh = bgp(5, &[0, 2, 1, 1, 7]);
    let notification = bgp(3, &[6, 4]);
    let keepalive = bgp(4, &[]);
    let messages = [&open, &update, &notification, &refresh, &keepalive];
    let tlvs: Vec<(u16, &[u8])> = messages.iter().map(|m| (0, m.as_slice())).collect();
    let tlvs = mirrored(&Heard::of([&mirroring(&tlvs)]));
    for (tlv, sent) in tlvs.iter().zip(messages) {
        assert_eq!(&tlv.value[..], sent.as_slice());
        assert_eq!(tlv.message.as_ref().unwrap().error, "");
    }
    let body = |n: usize| tlvs[n].message.clone().unwrap().body;
    let Some(bgp_message::Body::Open(open)) = body(0) else { panic!() };
    assert_eq!((open.asn, open.capabilities[0].name.as_str()), (65011, "4-octet AS number"));
    let Some(bgp_message::Body::Update(update)) = body(1) else { panic!() };
    assert_eq!(prefixes(&update.announced), ["198.51.100.0/24"]);
    assert_eq!(update.view(), RibView::AdjRibInPre);
    let Some(bgp_message::Body::Notification(notification)) = body(2) else { panic!() };
    assert_eq!(notification.subcode_name, "Administrative Reset");
    let Some(bgp_message::Body::RouteRefresh(refresh)) = body(3) else { panic!() };
    assert_eq!(
        (refresh.afi, refresh.safi, refresh.subtype, &refresh.filters[..]),
        (2, 1, 1, &[7][..])
    );
    assert_eq!((tlvs[4].message.as_ref().unwrap().r#type, body(4)), (4, None));
}

#[test]
fn a_mirrored_message_that_cannot_be_read_keeps_its_bytes_and_says_why() {
    let bad = update(&[], &base_attributes(), &[33, 1]);
    let long = [bgp(4, &[]), vec![1]].concat();
    let heard = Heard::of([&mirroring(&[
        (0, &bad),
        (0, b"no BGP"),
        (0, &bgp(77, &[])),
        (0, &long),
        (1, &[0, 0]),
        (1, &[0, 1]),
        (9, &[7]),
    ])]);
    let tlvs = mirrored(&heard);
    for tlv in &tlvs[..4] {
        assert!(!tlv.message.as_ref().unwrap().error.is_empty());
    }
    let kinds: Vec<u32> = tlvs[..4].iter().map(|t| t.message.as_ref().unwrap().r#type).collect();
    assert_eq!(kinds, [2, 0, 77, 4]);
    assert_eq!(&tlvs[0].value[..], bad.as_slice());
    let codes: Vec<_> = tlvs[4..].iter().map(|tlv| tlv.information).collect();
    assert_eq!(codes, [Some(0), Some(1), None]);
    assert!(tlvs[6].message.is_none() && heard.dead.is_empty());
}

#[test]
fn a_mirrored_update_teaches_nothing_about_route_monitoring_and_holds_no_peer() {
    let with_id = [0, 0, 0, 1, 24, 198, 51, 100];
    let mirrored = update(&[], &base_attributes(), &with_id);
    let plain = [24, 198, 51, 100, 24, 198, 51, 101];
    let heard = Heard::of([
        &mirroring(&[(0, &mirrored)]),
        &route_monitoring(0, 0, &[update(&[], &base_attributes(), &plain)]),
    ]);
    assert_eq!(prefixes(&heard.updates()[0].announced), ["198.51.100.0/24", "198.51.101.0/24"]);
    assert_eq!(Heard::of([&mirroring(&[(0, &mirrored)])]).session.peers_up(), 0);
}

#[test]
fn a_mirror_cut_at_its_end_keeps_the_tlvs_before_and_says_so() {
    let mut body = peer_header(0, 0);
    body.extend([0, 1, 0, 2, 0, 1, 0, 0, 0, 9]);
    let heard = Heard::of([&bmp(6, &body)]);
    assert_eq!(mirrored(&heard).len(), 1);
    assert_eq!(heard.dead[0].reason, "malformed-tlv");
}

#[test]
fn what_frr_mirrors_is_decoded_to_the_last_message() {
    let Some(bytes) = capture("frr10-mirror") else { return };
    let tlvs = mirrored(&Heard::stream(&bytes));
    let messages: Vec<_> = tlvs.iter().filter_map(|tlv| tlv.message.as_ref()).collect();
    assert_eq!(messages.len(), 301);
    let errors: Vec<&str> =
        messages.iter().map(|m| m.error.as_str()).filter(|error| !error.is_empty()).collect();
    // One of the UPDATEs that the scenario broke; the others RFC 7606 mends.
    assert_eq!(errors, ["withdrawn routes: ends too early"]);
    let updates = messages.iter().filter(|m| matches!(m.body, Some(bgp_message::Body::Update(_))));
    assert!(updates.count() > 100);
}
