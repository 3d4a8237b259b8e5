//! Every kind of event becomes the rows that docs/data-model.md promises.

mod common;

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Bed, Speaker, attributes, routes};
use ribstream_proto::{
    text,
    v1::{
        Aggregator, AsPath, AsPathSegment, AsPathSegmentType, AttributeError, AttributeVerdict,
        BgpMessage, Capability, Family, Heartbeat, InformationTlv, LargeCommunity, MirroredTlv,
        Notification, Open, Overruled, PathAttributes, PeerDown, PeerDownReason, PeerUp, Prefix,
        PrefixRoute, RawAttribute, RibView, RouteMirror, RouteUpdate, RouterDown, RouterUp, Routes,
        Statistic, StatsReport, bgp_message::Body as Mirrored, event::Body,
    },
};

fn segment(r#type: AsPathSegmentType, asns: &[u32]) -> AsPathSegment {
    AsPathSegment { r#type: r#type as i32, asns: asns.to_vec() }
}

fn update(announced: Vec<Routes>, attributes: PathAttributes) -> RouteUpdate {
    RouteUpdate {
        view: RibView::AdjRibInPost as i32,
        attributes: Some(attributes),
        announced,
        ..RouteUpdate::default()
    }
}

fn all_attributes() -> PathAttributes {
    PathAttributes {
        origin: Some(2),
        as_path: Some(AsPath {
            segments: vec![
                segment(AsPathSegmentType::AsConfedSequence, &[64_512]),
                segment(AsPathSegmentType::AsSequence, &[65_001, 4_200_000_000]),
                segment(AsPathSegmentType::AsSet, &[65_003, 65_004]),
            ],
        }),
        as4_path: Some(AsPath { segments: vec![segment(AsPathSegmentType::AsSequence, &[7])] }),
        next_hop: Some(Bytes::from_static(&[192, 0, 2, 77])),
        med: Some(u32::MAX),
        local_pref: Some(200),
        atomic_aggregate: true,
        aggregator: Some(Aggregator { asn: 65_009, address: Bytes::from_static(&[10, 0, 0, 9]) }),
        communities: vec![(65_001 << 16) + 100, 0xffff_ff01],
        extended_communities: vec![0x0002_fde8_0000_0064],
        large_communities: vec![LargeCommunity {
            global_administrator: 4_200_000_000,
            local_data_1: 1,
            local_data_2: 2,
        }],
        originator_id: Some(Bytes::from_static(&[10, 0, 0, 8])),
        cluster_list: vec![Bytes::from_static(&[10, 0, 0, 7]), Bytes::from_static(&[10, 0, 0, 6])],
        only_to_customer: Some(65_010),
        other: vec![RawAttribute { r#type: 99, flags: 0xc0, value: Bytes::from_static(&[1, 2]) }],
        ..PathAttributes::default()
    }
}

async fn row(bed: &Bed, table: &str, columns: &str) -> String {
    bed.text(&format!("select ({columns}) from {table}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_keeps_all_of_its_attributes() {
    let bed = Bed::new(1).await;
    let mut speaker = Speaker::new(1, 1);
    let mut with_path_id = routes([1]);
    with_path_id.prefixes[0].path_id = Some(u32::MAX);
    with_path_id.link_local_next_hop = Bytes::from_static(&[0xfe; 16]);
    let mut message = update(vec![with_path_id], all_attributes());
    message.initial_dump = true;
    message.asn_width = 2;
    message.overruled = vec![Overruled::AsnWidth2 as i32, 77];
    message.attribute_errors = vec![AttributeError {
        r#type: 4,
        verdict: AttributeVerdict::Discard as i32,
        reason: "2 octets".to_owned(),
        value: Bytes::from_static(&[0, 1]),
    }];
    let producer = bed.producer();
    producer.send(&speaker.event(Body::RouteUpdate(message)));
    producer.flush();
    let ingester = bed.ingester(&[]);
    bed.wait_until_stored().await;
    assert_eq!(ingester.stop(), Some(0));

    let columns = "extract(epoch from time) * 1000000, extract(epoch from router_time) * 1000000, \
        session, sequence, ordinal, family_name(afi, safi), rib_view_name(view), action, \
        initial_dump, prefix, path_id, next_hop, link_local_next_hop";
    assert_eq!(
        row(&bed, "route_events", columns).await,
        "(1780000000001000.000000,1780000000000000.000000,1780000000000001,1,0,ipv4-unicast,\
         adj-rib-in-post,announce,t,10.0.1.0/24,4294967295,198.51.100.1,\
         fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe)"
    );
    let columns = "origin, as_path, origin_as, med, local_pref, atomic_aggregate, aggregator_asn, \
        aggregator_address, communities, extended_communities, large_communities, originator_id, \
        cluster_list, only_to_customer";
    assert_eq!(
        row(&bed, "route_events", columns).await,
        "(incomplete,\"(64512) 65001 4200000000 {65003,65004}\",,4294967295,200,t,65009,10.0.0.9,\
         \"{65001:100,65535:65281}\",{%},{4200000000:1:2},10.0.0.8,\
         \"{10.0.0.7,10.0.0.6}\",65010)"
            .replace('%', &text::extended_community(0x0002_fde8_0000_0064))
    );
    assert_eq!(
        bed.text("select other_attributes || attribute_errors from route_events").await,
        r#"[{"type": 99, "flags": 192, "value": "0102"}, {"type": 4, "value": "0001", "reason": "2 octets", "verdict": "discard"}]"#
    );
    assert_eq!(
        bed.text("select reading from route_events").await,
        r#"{"as4_path": "7", "next_hop": "192.0.2.77", "asn_width": 2, "overruled": ["asn-width-2", 77]}"#
    );
    assert_eq!(
        row(&bed, "peers join routers r on r.id = router_id", "identity, peer_type_name(type), distinguisher_text(distinguisher), peers.address, asn, bgp_id, up").await,
        // No Peer Up was sent: its routes hold it.
        "(192.0.2.1,global,0,198.51.100.1,64501,10.0.0.1,t)"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_message_are_counted_over_all_its_updates() {
    let bed = Bed::new(1).await;
    let mut speaker = Speaker::new(1, 1);
    let v6 = Routes {
        afi: 2,
        safi: 1,
        next_hop: Bytes::from_static(&[0x20; 16]),
        prefixes: vec![PrefixRoute {
            prefix: Some(Prefix { address: Bytes::from_static(&[0; 16]), length: 0 }),
            ..PrefixRoute::default()
        }],
        ..Routes::default()
    };
    let evpn = Routes {
        afi: 25,
        safi: 70,
        next_hop: Bytes::from_static(&[1, 2, 3]),
        undecoded: Bytes::from_static(&[2, 1, 0xff]),
        ..Routes::default()
    };
    let mut message = update(vec![routes(1..3), v6, evpn], attributes(1));
    message.withdrawn = vec![routes([9])];
    message.end_of_rib = vec![Family { afi: 2, safi: 128 }];
    message.more = vec![update(vec![routes([5])], PathAttributes::default())];
    let producer = bed.producer();
    producer.send(&speaker.event(Body::RouteUpdate(message)));
    producer.flush();
    let ingester = bed.ingester(&[]);
    bed.wait_until_stored().await;
    assert_eq!(ingester.stop(), Some(0));

    assert_eq!(
        bed.text(
            "select string_agg(concat_ws(' ', ordinal, action, prefix, next_hop, as_path, \
             communities), E'\n' order by ordinal) from route_events"
        )
        .await,
        "0 withdraw 10.0.9.0/24 198.51.100.1\n\
         1 announce 10.0.1.0/24 198.51.100.1 1 65010 65020 {1:100,65000:666}\n\
         2 announce 10.0.2.0/24 198.51.100.1 1 65010 65020 {1:100,65000:666}\n\
         3 announce ::/0 2020:2020:2020:2020:2020:2020:2020:2020 1 65010 65020 {1:100,65000:666}\n\
         6 announce 10.0.5.0/24 198.51.100.1"
    );
    assert_eq!(
        row(
            &bed,
            "other_events",
            "ordinal, family_name(afi, safi), nlri, next_hop_raw, next_hop, med, reading"
        )
        .await,
        r#"(4,evpn,"\\x0201ff","\\x010203",,10,"{""next_hop_raw"": ""010203""}")"#
    );
    assert_eq!(
        row(&bed, "peer_events", "ordinal, kind, rib_view_name(view), family_name(afi, safi)")
            .await,
        "(5,end-of-rib,adj-rib-in-post,vpnv6)"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "one story, told in order")]
async fn peers_and_sessions_come_and_go() {
    let bed = Bed::new(1).await;
    let producer = bed.producer();
    let mut speaker = Speaker::new(1, 1);
    let open = Open {
        version: 4,
        asn: 64_501,
        hold_time: 90,
        bgp_id: Bytes::from_static(&[10, 0, 0, 1]),
        capabilities: vec![Capability {
            code: 1,
            value: Bytes::from_static(&[0, 1, 0, 1]),
            multiprotocol: Some(Family { afi: 1, safi: 1 }),
            ..Capability::default()
        }],
        raw: Bytes::from_static(&[0xff; 19]),
    };
    for body in [
        Body::RouterUp(RouterUp {
            sys_name: Some("r1\0\\".to_owned()),
            sys_descr: Some("'; drop table routers; --".to_owned()),
            information: vec![InformationTlv {
                r#type: 2,
                value: Bytes::from_static(b"r1\0\xff"),
                name: "sysName".to_owned(),
            }],
            remote_port: 50_000,
        }),
        Body::PeerUp(PeerUp {
            local_address: Bytes::from_static(&[192, 0, 2, 1]),
            local_port: 179,
            sent_open: Some(open),
            undecoded: Bytes::from_static(&[0, 3, 0xff]),
            ..PeerUp::default()
        }),
        Body::Heartbeat(Heartbeat { messages: 10, octets: 2000, peers: 1 }),
        Body::PeerDown(PeerDown {
            reason: 1,
            notification: Some(Notification {
                code: 6,
                subcode: 2,
                data: Bytes::from_static(b"\x03bye"),
                ..Notification::default()
            }),
            ..PeerDown::default()
        }),
        Body::StatsReport(StatsReport {
            statistics: vec![
                Statistic { r#type: 7, value: Some(1000), ..Statistic::default() },
                Statistic {
                    r#type: 9,
                    value: Some(u64::MAX),
                    family: Some(Family { afi: 1, safi: 1 }),
                    ..Statistic::default()
                },
                Statistic { r#type: 65_531, raw: Bytes::from_static(&[1]), ..Statistic::default() },
            ],
        }),
        Body::RouteMirror(RouteMirror {
            tlvs: vec![MirroredTlv { value: Bytes::from_static(&[5]), ..MirroredTlv::default() }],
        }),
        Body::RouterDown(RouterDown {
            reason: 2,
            detail: "gone".to_owned(),
            ..RouterDown::default()
        }),
    ] {
        producer.send(&speaker.event(body));
    }
    producer.flush();
    let ingester = bed.ingester(&[]);
    bed.wait_until_stored().await;
    assert_eq!(ingester.stop(), Some(0));

    assert_eq!(
        row(&bed, "routers", "identity, address, sys_name, sys_descr").await,
        r#"(192.0.2.1,192.0.2.1,"r1\\x00\\","'; drop table routers; --")"#
    );
    assert_eq!(
        row(
            &bed,
            "bmp_sessions",
            "collector, remote_port, messages, octets, peers, session_end_name(end_reason), \
             end_detail, ended = last_heard, information->0->>'value'"
        )
        .await,
        "(collector-1,50000,10,2000,1,disconnect,gone,t,0x723100ff)"
    );
    assert_eq!(
        row(&bed, "peer_status", "router, peer, asn, up, down_reason").await,
        "(192.0.2.1,198.51.100.1,64501,f,local-notification)"
    );
    assert_eq!(
        bed.text(
            "select (asn, local_address, local_port, remote_port, sent_open, \
             octet_length(sent_open_raw), received_open, data) from peer_events where kind = 'up'"
        )
        .await,
        r#"(64501,192.0.2.1,179,,"{""asn"": 64501, ""bgp_id"": ""10.0.0.1"", ""version"": 4, ""hold_time"": 90, ""capabilities"": [{""code"": 1, ""value"": ""00010001"", ""multiprotocol"": {""afi"": 1, ""safi"": 1}}]}",19,,"\\x0003ff")"#
    );
    assert_eq!(
        bed.text(
            "select (peer_down_reason_name(reason), notification_code, notification_subcode, \
             notification_data) from peer_events where kind = 'down'"
        )
        .await,
        r#"(local-notification,6,2,"\\x03627965")"#
    );
    assert_eq!(
        bed.text(
            "select string_agg(concat_ws(' ', ordinal, statistic_name(type), \
             family_name(afi, safi), value, raw), ', ' order by ordinal) from stats_reports"
        )
        .await,
        r"0 adj-rib-in-routes 1000, 1 adj-rib-in-routes-per-family ipv4-unicast \xffffffffffffffff, 2 65531 \x01"
    );
    assert_eq!(row(&bed, "mirrored_messages", "ordinal, type, value").await, r#"(0,0,"\\x05")"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_said_to_a_shutdown_is_text_also_inside_of_a_hard_reset() {
    let bed = Bed::new(1).await;
    let mut speaker = Speaker::new(1, 1);
    let cease = |communication: &str| Notification {
        code: 6,
        subcode: 2,
        shutdown_communication: Some(communication.to_owned()),
        ..Notification::default()
    };
    let hard_reset = |enclosed: Notification| Notification {
        code: 6,
        subcode: 9,
        shutdown_communication: enclosed.shutdown_communication.clone(),
        enclosed: Some(Box::new(enclosed)),
        ..Notification::default()
    };
    let mut down = |notification| {
        speaker.event(Body::PeerDown(PeerDown {
            reason: 3,
            notification: Some(notification),
            ..PeerDown::default()
        }))
    };
    let long = "\u{1f600}".repeat(20_000);
    let events = [
        down(cease("maintenance\0\u{fffd}'\"\\")),
        down(hard_reset(cease("bye\0"))),
        down(cease(&long)),
        down(Notification { code: 4, ..Notification::default() }),
    ];
    bed.store(&events).await;
    let said = "select string_agg(concat_ws('|', sequence, notification_code, notification_subcode, \
        left(shutdown_communication, 20), length(shutdown_communication), notification_enclosed), \
        E'\\n' order by sequence) from peer_events";
    assert_eq!(
        bed.text(said).await,
        format!(
            r#"1|6|2|maintenance\x00{}'"\|19
2|6|9|bye\x00|7|{{"code": 6, "subcode": 2, "shutdown_communication": "bye\\x00"}}
3|6|2|{}|20000
4|4|0"#,
            '\u{fffd}',
            "\u{1f600}".repeat(20)
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirrored_message_is_kept_as_sent_and_as_a_structure() {
    let bed = Bed::new(1).await;
    let update = update(vec![routes([1])], attributes(65_001));
    let open = Open { version: 4, raw: Bytes::from_static(&[0xff; 19]), ..Open::default() };
    let message = |r#type, error: &str, body| {
        let (value, error) = (Bytes::from_static(&[0xff; 19]), error.to_owned());
        let message = Some(BgpMessage { r#type, error, body });
        MirroredTlv { value, message, ..MirroredTlv::default() }
    };
    let tlvs = vec![
        message(1, "", Some(Mirrored::Open(open))),
        message(2, "", Some(Mirrored::Update(update))),
        message(4, "", None),
        message(9, "no such type", None),
        MirroredTlv { r#type: 1, information: Some(1), ..MirroredTlv::default() },
    ];
    bed.store(&[Speaker::new(1, 1).event(Body::RouteMirror(RouteMirror { tlvs }))]).await;
    let rows = "select string_agg(concat_ws('|', ordinal, type, octet_length(value), message_type, \
        decoded - 'update', information), E'\\n' order by ordinal) from mirrored_messages";
    assert_eq!(
        bed.text(rows).await,
        r#"0|0|19|1|{"open": {"asn": 0, "version": 4, "hold_time": 0}, "type": 1}
1|0|19|2|{"type": 2}
2|0|19|4|{"type": 4}
3|0|19|9|{"type": 9, "error": "no such type"}
4|1|0|1"#
    );
    let prefix = "select decoded->'update'->'announced'->0->'prefixes'->0->>'prefix' \
        from mirrored_messages where message_type = 2";
    assert_eq!(bed.text(prefix).await, "10.0.1.0/24");
}

#[tokio::test(flavor = "multi_thread")]
async fn loc_ribs_that_differ_in_bgp_id_or_name_are_different_peers() {
    let bed = Bed::new(1).await;
    let producer = bed.producer();
    for (bgp_id, name) in [(1, "default"), (2, "default"), (1, "red\0"), (1, "default")] {
        let mut speaker = Speaker::new(1, 1);
        speaker.peer.r#type = 3;
        speaker.peer.address = Bytes::new();
        speaker.peer.bgp_id = Bytes::from(vec![10, 0, 0, bgp_id]);
        speaker.peer.table_name = name.to_owned();
        producer.send(&speaker.announce([1]));
    }
    producer.flush();
    let ingester = bed.ingester(&[]);
    bed.wait_until_stored().await;
    assert_eq!(ingester.stop(), Some(0));
    assert_eq!(bed.number("select count(*) from peers").await, 3);
    assert_eq!(bed.number("select count(distinct peer_id) from route_events").await, 3);
    assert_eq!(bed.number(r"select count(*) from peers where loc_rib_name = 'red\x00'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_update_does_not_wait_for_company() {
    let bed = Bed::new(2).await;
    let producer = bed.producer();
    let mut speaker = Speaker::new(1, 1);
    producer.send(&speaker.announce([0]));
    producer.flush();
    let ingester = bed.ingester(&[]);
    bed.wait_until_stored().await;
    let mut connection = bed.database.connect().await.unwrap();
    let mut times = Vec::new();
    for number in 1..=20 {
        let begun = Instant::now();
        producer.send(&speaker.announce([number]));
        let seen = format!("select count(*) from route_events where prefix = '10.0.{number}.0/24'");
        while common::number(&mut connection, &seen).await == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        times.push(begun.elapsed());
    }
    times.sort();
    println!("from producer to visible row: median {:?}, worst {:?}", times[10], times[19]);
    // The target is 250 ms; what is asserted leaves room for a machine under load.
    assert!(times[10] < Duration::from_secs(2), "{times:?}");
    assert_eq!(ingester.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_a_session_sorts_behind_the_last_message_whose_number_it_bears() {
    let bed = Bed::new(1).await;
    let producer = bed.producer();
    let mut speaker = Speaker::new(1, 1);
    let up = speaker.event(Body::PeerUp(PeerUp::default()));
    let mut lost = speaker.event(Body::PeerDown(PeerDown {
        reason: PeerDownReason::SessionLost as i32,
        ..PeerDown::default()
    }));
    (lost.sequence, lost.received_at) = (up.sequence, up.received_at);
    producer.send(&up);
    producer.send(&lost);
    producer.flush();
    let ingester = bed.ingester(&[]);
    bed.wait_until_stored().await;
    assert_eq!(ingester.stop(), Some(0));
    let places = "select count(distinct (session, sequence, ordinal)) from peer_events";
    assert_eq!(bed.number(places).await, 2);
    let kinds =
        "select string_agg(kind, ' ' order by time, session, sequence, ordinal) from peer_events";
    assert_eq!(bed.text(kinds).await, "up down");
}
