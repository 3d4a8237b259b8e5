//! The JSON form of events: protobuf field names, text for people.

use bytes::Bytes;
use ribstream_proto::v1::{self, event::Body};

#[test]
fn an_event_reads_under_its_protobuf_names_with_addresses_as_text() {
    let event = v1::Event {
        router: "192.0.2.1".into(),
        router_address: Bytes::from_static(&[192, 0, 2, 1]),
        sequence: 3,
        peer: Some(v1::Peer {
            r#type: v1::PeerType::LocRib.into(),
            bgp_id: Bytes::from_static(&[192, 0, 2, 1]),
            ..Default::default()
        }),
        body: Some(Body::RouteUpdate(v1::RouteUpdate {
            view: v1::RibView::AdjRibInPre.into(),
            attributes: Some(v1::PathAttributes {
                origin: Some(v1::Origin::Igp.into()),
                communities: vec![(65001 << 16) | 7],
                ..Default::default()
            }),
            announced: vec![v1::Routes {
                afi: 1,
                safi: 1,
                prefixes: vec![v1::PrefixRoute {
                    prefix: Some(v1::Prefix {
                        address: Bytes::from_static(&[10, 0, 0, 0]),
                        length: 8,
                    }),
                    ..v1::PrefixRoute::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        })),
        ..Default::default()
    };
    let json = serde_json::to_value(&event).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "router": "192.0.2.1",
            "router_address": "192.0.2.1",
            "session": 0,
            "sequence": 3,
            "received_at": 0,
            "peer_sequence": 0,
            "peer": {"type": "loc-rib", "asn": 0, "bgp_id": "192.0.2.1", "flags": 0},
            "route_update": {
                "view": "adj-rib-in-pre",
                "asn_width": 0,
                "attributes": {"origin": "igp", "communities": ["65001:7"]},
                "announced": [{"afi": 1, "safi": 1, "prefixes": [{"prefix": "10.0.0.0/8"}]}],
            },
        })
    );
}
