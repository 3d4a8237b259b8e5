//! Routes of every family, and what goes with them, as rows.

mod common;

use bytes::Bytes;
use common::{Bed, Speaker, attributes, routes};
use ribstream_proto::{
    text,
    v1::{
        Aigp, AttrSet, BfdDiscriminator, Domain, DomainPath, DomainPathSegment, EvpnRoute,
        FlowComponent, FlowOperation, FlowSpecification, LinkStateAttribute, LinkStateNlri,
        MdtRoute, MupRoute, MvpnRoute, OtherRoute, PathAttributes, PathMarking, PmsiTunnel, Prefix,
        PrefixSid, RawAttribute, RawTlv, RouteTargetMembership, RouteTlv, RouteUpdate, Routes,
        SrPolicyRoute, Tunnel, TunnelEncapsulation, VplsRoute, event::Body, other_route::Nlri,
    },
};
use serde_json::{Value, json};

const DISTINGUISHER: Bytes = Bytes::from_static(&[0, 0, 0xfd, 0xe9, 0, 0, 0, 7]);
const ESI: Bytes = Bytes::from_static(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
const V4: Bytes = Bytes::from_static(&[192, 0, 2, 1]);
const GROUP: Bytes = Bytes::from_static(&[232, 1, 1, 1]);
const V6: Bytes = Bytes::from_static(&[0x20; 16]);
const V6_TEXT: &str = "2020:2020:2020:2020:2020:2020:2020:2020";

fn prefix(address: &'static [u8], length: u32) -> Prefix {
    Prefix { address: Bytes::from_static(address), length }
}

fn announced(announced: Vec<Routes>) -> Body {
    Body::RouteUpdate(RouteUpdate {
        view: 1,
        attributes: Some(attributes(65_001)),
        announced,
        ..RouteUpdate::default()
    })
}

fn evpn_routes() -> Vec<EvpnRoute> {
    let route = |route_type: u8| EvpnRoute {
        route_type: route_type.into(),
        route_distinguisher: DISTINGUISHER,
        raw: Bytes::from(vec![route_type, 0]),
        ..EvpnRoute::default()
    };
    vec![
        EvpnRoute { esi: ESI, ethernet_tag: Some(u32::MAX), labels: vec![0xf_ffff], ..route(1) },
        EvpnRoute {
            path_id: Some(u32::MAX),
            esi: ESI,
            ethernet_tag: Some(0),
            mac: Bytes::from_static(&[2, 0, 0, 0, 0, 1]),
            ip: V6,
            vnis: vec![10_100, 0xff_ffff],
            ..route(2)
        },
        EvpnRoute { ethernet_tag: Some(0), originator: V4, ..route(3) },
        EvpnRoute { esi: ESI, originator: V6, ..route(4) },
        EvpnRoute {
            esi: ESI,
            ethernet_tag: Some(0),
            prefix: Some(prefix(&[0x20; 16], 128)),
            gateway: V6,
            labels: vec![16, 17],
            ..route(5)
        },
        EvpnRoute {
            ethernet_tag: Some(1),
            source: V4,
            group: GROUP,
            originator: V4,
            flags: Some(255),
            ..route(6)
        },
        EvpnRoute {
            esi: ESI,
            ethernet_tag: Some(1),
            group: GROUP,
            originator: V4,
            flags: Some(0),
            leave_synchronization: Some(u32::MAX),
            maximum_response_time: Some(10),
            ..route(8)
        },
        EvpnRoute {
            ethernet_tag: Some(0),
            region: Bytes::from_static(&[0, 9, 0, 0, 0, 0, 0, 1]),
            ..route(9)
        },
        EvpnRoute {
            route_distinguisher: Bytes::new(),
            originator: V4,
            route_key: Bytes::from_static(&[9, 17]),
            ..route(11)
        },
        EvpnRoute { route_distinguisher: Bytes::new(), ..route(200) },
    ]
}

/// What is there of each row, and nothing of what is not.
async fn rows(bed: &Bed, table: &str, columns: &[&str]) -> Vec<String> {
    let row: Vec<String> = columns
        .iter()
        .map(|column| {
            format!("case when {column} is not null then concat(' {column}=', {column}) end")
        })
        .collect();
    let rows = bed
        .text(&format!(
            "select string_agg(concat({}), E'\n' order by sequence, ordinal) from {table}",
            row.join(", ")
        ))
        .await;
    rows.lines().map(|line| line.trim_start().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_an_evpn_route_is_a_column() {
    let bed = Bed::new(1).await;
    let evpn = evpn_routes();
    let field = Routes { afi: 25, safi: 70, next_hop: V4, evpn: evpn.clone(), ..Routes::default() };
    let mut withdrawn = Speaker::new(1, 1).event(Body::RouteUpdate(RouteUpdate {
        view: 1,
        withdrawn: vec![Routes { evpn: vec![evpn[2].clone()], ..field.clone() }],
        ..RouteUpdate::default()
    }));
    let announced = Speaker::new(1, 1).event(announced(vec![field]));
    withdrawn.sequence += 1;
    bed.store(&[announced, withdrawn]).await;

    let columns = [
        "route_type",
        "path_id",
        "route_distinguisher",
        "esi",
        "ethernet_tag",
        "mac",
        "ip",
        "prefix",
        "gateway",
        "labels",
        "vnis",
        "originator",
        "source",
        "multicast_group",
        "flags",
        "leave_synchronization",
        "maximum_response_time",
        "region",
        "route_key",
        "nlri",
    ];
    let esi = "esi=00:01:02:03:04:05:06:07:08:09";
    let rd = "route_distinguisher=65001:7";
    assert_eq!(
        rows(&bed, "evpn_events", &columns).await,
        [
            format!(
                r"route_type=1 {rd} {esi} ethernet_tag=4294967295 labels={{1048575}} nlri=\x0100"
            ),
            format!(
                r"route_type=2 path_id=4294967295 {rd} {esi} ethernet_tag=0 mac=02:00:00:00:00:01 ip={V6_TEXT} vnis={{10100,16777215}} nlri=\x0200"
            ),
            format!(r"route_type=3 {rd} ethernet_tag=0 originator=192.0.2.1 nlri=\x0300"),
            format!(r"route_type=4 {rd} {esi} originator={V6_TEXT} nlri=\x0400"),
            format!(
                r"route_type=5 {rd} {esi} ethernet_tag=0 prefix={V6_TEXT}/128 gateway={V6_TEXT} labels={{16,17}} nlri=\x0500"
            ),
            format!(
                r"route_type=6 {rd} ethernet_tag=1 originator=192.0.2.1 source=192.0.2.1 multicast_group=232.1.1.1 flags=255 nlri=\x0600"
            ),
            format!(
                r"route_type=8 {rd} {esi} ethernet_tag=1 originator=192.0.2.1 multicast_group=232.1.1.1 flags=0 leave_synchronization=4294967295 maximum_response_time=10 nlri=\x0800"
            ),
            format!(r"route_type=9 {rd} ethernet_tag=0 region=\x0009000000000001 nlri=\x0900"),
            r"route_type=11 originator=192.0.2.1 route_key=\x0911 nlri=\x0b00".to_owned(),
            r"route_type=200 nlri=\xc800".to_owned(),
            format!(r"route_type=3 {rd} ethernet_tag=0 originator=192.0.2.1 nlri=\x0300"),
        ]
    );
    let texts: Vec<String> = evpn.iter().chain([&evpn[2]]).map(text::evpn_route).collect();
    assert_eq!(rows(&bed, "evpn_events", &["nlri_text"]).await, named("nlri_text", &texts),);
    assert_eq!(
        rows(
            &bed,
            "evpn_log where sequence = 2",
            &["router", "peer", "rib_view", "family", "action", "route_type", "as_path"]
        )
        .await,
        [
            "router=192.0.2.1 peer=198.51.100.1 rib_view=adj-rib-in-pre family=evpn action=withdraw route_type=inclusive-multicast"
        ]
    );
    assert_eq!(
        rows(
            &bed,
            "evpn_log where mac = '02:00:00:00:00:01'",
            &["ordinal", "next_hop", "as_path", "communities", "med"]
        )
        .await,
        [
            "ordinal=1 next_hop=192.0.2.1 as_path=65001 65010 65020 communities={65001:100,65000:666} med=10"
        ]
    );
}

/// As [`rows`] gives a column with these values.
fn named(column: &str, values: &[String]) -> Vec<String> {
    values.iter().map(|value| format!("{column}={value}")).collect()
}

/// A route of every kind, with AFI and SAFI.
fn other_routes() -> Vec<(u32, u32, OtherRoute)> {
    let flow = FlowSpecification {
        components: vec![
            FlowComponent {
                r#type: 1,
                prefix: Some(prefix(&[192, 0, 2, 0], 24)),
                ..FlowComponent::default()
            },
            FlowComponent {
                r#type: 5,
                operations: vec![FlowOperation {
                    equal: true,
                    value: u64::MAX,
                    ..FlowOperation::default()
                }],
                ..FlowComponent::default()
            },
        ],
    };
    let kinds = [
        (1, 133, Nlri::FlowSpecification(flow.clone())),
        (2, 134, Nlri::FlowSpecification(flow)),
        (
            1,
            132,
            Nlri::RouteTargetMembership(RouteTargetMembership {
                length: 96,
                origin_asn: Some(65_001),
                route_target: Bytes::from_static(&[0, 2, 0xfd, 0xe9, 0, 0, 0, 7]),
            }),
        ),
        (
            1,
            5,
            Nlri::Mvpn(MvpnRoute {
                route_type: 7,
                source_asn: Some(u32::MAX),
                source: V4,
                group: GROUP,
                ..MvpnRoute::default()
            }),
        ),
        (1, 66, Nlri::Mdt(MdtRoute { source: V4, group: GROUP })),
        (
            25,
            65,
            Nlri::Vpls(VplsRoute {
                ve_id: Some(1),
                ve_block_offset: Some(1),
                ve_block_size: Some(8),
                label_base: Some(800_000),
                ..VplsRoute::default()
            }),
        ),
        (
            2,
            85,
            Nlri::Mup(MupRoute {
                architecture_type: 1,
                route_type: 3,
                prefix: Some(prefix(&[0x20; 16], 128)),
                teid: Some(12_345),
                qfi: Some(9),
                endpoint: V6,
                source: V6,
                ..MupRoute::default()
            }),
        ),
        (1, 73, Nlri::SrPolicy(SrPolicyRoute { distinguisher: 1, color: u32::MAX, endpoint: V4 })),
        (
            16_388,
            71,
            Nlri::LinkState(Box::new(LinkStateNlri {
                nlri_type: 1,
                protocol_id: 2,
                identifier: u64::MAX,
                ..LinkStateNlri::default()
            })),
        ),
    ];
    (0..)
        .zip(kinds)
        .map(|(number, (afi, safi, nlri))| {
            let route = OtherRoute {
                raw: Bytes::from(vec![number, 0, 0xff]),
                nlri: Some(nlri),
                ..OtherRoute::default()
            };
            (afi, safi, route)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_other_route_is_a_row_with_its_text_its_structure_and_its_bytes() {
    let bed = Bed::new(1).await;
    let mut given = other_routes();
    given[1].2.route_distinguisher = DISTINGUISHER;
    given[1].2.path_id = Some(u32::MAX);
    given.push((1, 133, OtherRoute { raw: Bytes::from_static(&[9, 9]), ..OtherRoute::default() }));
    let mut fields: Vec<Routes> = given
        .iter()
        .map(|(afi, safi, route)| Routes {
            afi: *afi,
            safi: *safi,
            other: vec![route.clone()],
            ..Routes::default()
        })
        .collect();
    fields.push(Routes {
        afi: 99,
        safi: 7,
        next_hop: Bytes::from_static(&[1, 2, 3]),
        undecoded: Bytes::from_static(&[0, 1]),
        ..Routes::default()
    });
    bed.store(&[Speaker::new(1, 1).event(announced(fields))]).await;

    let columns = ["ordinal", "family", "path_id", "route_distinguisher", "nlri"];
    assert_eq!(
        rows(&bed, "other_log", &columns).await,
        [
            r"ordinal=0 family=ipv4-flowspec nlri=\x0000ff",
            r"ordinal=1 family=vpnv6-flowspec path_id=4294967295 route_distinguisher=65001:7 nlri=\x0100ff",
            r"ordinal=2 family=rtc nlri=\x0200ff",
            r"ordinal=3 family=ipv4-mvpn nlri=\x0300ff",
            r"ordinal=4 family=mdt nlri=\x0400ff",
            r"ordinal=5 family=vpls nlri=\x0500ff",
            r"ordinal=6 family=ipv6-mup nlri=\x0600ff",
            r"ordinal=7 family=ipv4-srpolicy nlri=\x0700ff",
            r"ordinal=8 family=bgp-ls nlri=\x0800ff",
            r"ordinal=9 family=ipv4-flowspec nlri=\x0909",
            r"ordinal=10 family=99/7 nlri=\x0001",
        ]
    );
    let texts: Vec<String> = given.iter().map(|(_, _, route)| text::other_route(route)).collect();
    let decoded = "other_events where nlri_text is not null";
    assert_eq!(rows(&bed, decoded, &["nlri_text"]).await, named("nlri_text", &texts));
    let structures =
        bed.text("select jsonb_agg(nlri_json order by ordinal) from other_events").await;
    let mut expected: Vec<Value> = given
        .iter()
        .map(|(_, _, route)| {
            let mut fields = serde_json::to_value(route).unwrap();
            let fields = fields.as_object_mut().unwrap();
            for beside in ["path_id", "route_distinguisher", "raw"] {
                fields.remove(beside);
            }
            // What is left is the structure under the name of its kind.
            fields.values().next().cloned().unwrap_or_default()
        })
        .collect();
    expected.push(Value::Null);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&structures).unwrap(), expected);
    assert_eq!(expected[0]["components"][0]["prefix"], "192.0.2.0/24");
    assert_eq!(
        expected[7],
        json!({"distinguisher": 1, "color": u32::MAX, "endpoint": "192.0.2.1"})
    );
}

fn further() -> PathAttributes {
    PathAttributes {
        extended_communities: vec![0x0002_fde8_0000_0064],
        ipv6_extended_communities: vec![Bytes::from_static(&[0; 20])],
        pmsi_tunnel: Some(PmsiTunnel {
            tunnel_type: 6,
            label: Some(16),
            tunnel_identifier: V4,
            ..PmsiTunnel::default()
        }),
        tunnel_encapsulation: Some(TunnelEncapsulation {
            tunnels: vec![Tunnel { r#type: 8, ..Tunnel::default() }],
        }),
        aigp: Some(Aigp { metric: Some(u64::MAX), ..Aigp::default() }),
        prefix_sid: Some(PrefixSid::default()),
        attr_set: Some(Box::new(AttrSet {
            origin_asn: 65_001,
            attributes: Some(Box::new(PathAttributes {
                med: Some(7),
                ..PathAttributes::default()
            })),
        })),
        bfd_discriminator: Some(BfdDiscriminator {
            mode: 1,
            discriminator: 2,
            ..BfdDiscriminator::default()
        }),
        domain_path: Some(DomainPath {
            segments: vec![DomainPathSegment {
                domains: vec![Domain {
                    global_administrator: 65_001,
                    local_administrator: 1,
                    safi: 70,
                }],
            }],
        }),
        link_state: Some(Box::new(LinkStateAttribute {
            node_name: Bytes::from_static(b"r1\0"),
            other: vec![RawTlv { r#type: 65_000, value: Bytes::from_static(&[1]) }],
            ..LinkStateAttribute::default()
        })),
        ..PathAttributes::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decoded_attributes_without_a_column_are_an_object_by_name() {
    let bed = Bed::new(1).await;
    let mut speaker = Speaker::new(1, 1);
    let sent = further();
    let mut evpn = Routes { afi: 25, safi: 70, ..Routes::default() };
    evpn.evpn.push(EvpnRoute { route_type: 3, ..EvpnRoute::default() });
    let mut unknown = Routes { afi: 99, safi: 7, ..Routes::default() };
    unknown.undecoded = Bytes::from_static(&[1]);
    let tlv = RouteTlv {
        r#type: 1,
        index: Some(1),
        path_marking: Some(PathMarking { status: 2, reason: Some(3) }),
        ..RouteTlv::default()
    };
    bed.store(&[
        speaker.event(Body::RouteUpdate(RouteUpdate {
            view: 1,
            attributes: Some(sent.clone()),
            announced: vec![routes([1]), evpn, unknown],
            ..RouteUpdate::default()
        })),
        speaker.event(Body::RouteUpdate(RouteUpdate {
            view: 1,
            attributes: Some(attributes(65_001)),
            announced: vec![routes([2])],
            withdrawn: vec![routes([3])],
            tlvs: vec![tlv],
            ..RouteUpdate::default()
        })),
        speaker.announce([4]),
    ])
    .await;

    let expected = serde_json::to_value(&sent).unwrap();
    for table in ["route_events", "evpn_events", "other_events"] {
        let stored =
            bed.text(&format!("select further_attributes from {table} where sequence = 1")).await;
        let stored: Value = serde_json::from_str(&stored).unwrap();
        assert_eq!(stored.as_object().unwrap().len(), 8, "{table}");
        for (name, value) in stored.as_object().unwrap() {
            assert_eq!(*value, expected[name], "{table} {name}");
        }
        let communities = bed
            .text(&format!("select to_json(extended_communities) from {table} where sequence = 1"))
            .await;
        assert_eq!(
            serde_json::from_str::<Value>(&communities).unwrap(),
            json!([
                text::extended_community(0x0002_fde8_0000_0064),
                text::ipv6_extended_community(&[0; 20])
            ])
        );
    }
    assert_eq!(
        rows(&bed, "route_events where sequence > 1", &["action", "further_attributes"]).await,
        [
            r#"action=withdraw further_attributes={"bmp_tlvs": [{"type": 1, "index": 1, "path_marking": {"reason": 3, "status": 2}}]}"#,
            r#"action=announce further_attributes={"bmp_tlvs": [{"type": 1, "index": 1, "path_marking": {"reason": 3, "status": 2}}]}"#,
            "action=announce",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn values_as_long_as_a_message_are_stored_whole() {
    let bed = Bed::new(1).await;
    let long = Bytes::from(vec![0xab; 60_000]);
    let flow = FlowSpecification {
        components: vec![FlowComponent {
            r#type: 5,
            operations: vec![
                FlowOperation { equal: true, value: 53, ..FlowOperation::default() };
                2_000
            ],
            ..FlowComponent::default()
        }],
    };
    let link_state = LinkStateNlri {
        other: vec![RawTlv { r#type: 1, value: long.clone() }],
        ..LinkStateNlri::default()
    };
    let route = |nlri| OtherRoute { raw: long.clone(), nlri: Some(nlri), ..OtherRoute::default() };
    let evpn = EvpnRoute { route_type: 200, raw: long.clone(), ..EvpnRoute::default() };
    let fields = vec![
        Routes {
            afi: 1,
            safi: 133,
            other: vec![route(Nlri::FlowSpecification(flow))],
            ..Routes::default()
        },
        Routes {
            afi: 16_388,
            safi: 71,
            other: vec![route(Nlri::LinkState(Box::new(link_state)))],
            ..Routes::default()
        },
        Routes { afi: 25, safi: 70, evpn: vec![evpn], ..Routes::default() },
        Routes { afi: 99, safi: 7, undecoded: long.clone(), ..Routes::default() },
    ];
    let attributes = PathAttributes {
        extended_communities: vec![1; 8_000],
        other: vec![RawAttribute { r#type: 200, flags: 0xd0, value: long.clone() }],
        ..PathAttributes::default()
    };
    bed.store(&[Speaker::new(1, 1).event(Body::RouteUpdate(RouteUpdate {
        view: 1,
        attributes: Some(attributes),
        announced: fields,
        ..RouteUpdate::default()
    }))])
    .await;
    let whole = "length(nlri) = 60000 and cardinality(extended_communities) = 8000 \
                 and length(other_attributes->0->>'value') = 120000";
    assert_eq!(bed.number(&format!("select count(*) from other_events where {whole}")).await, 3);
    assert_eq!(bed.number(&format!("select count(*) from evpn_events where {whole}")).await, 1);
    assert_eq!(bed.kafka.lengths(&bed.dead_letter).await.unwrap(), [0]);
}
