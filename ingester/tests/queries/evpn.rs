//! EVPN: where MAC addresses are and were.

use ribstream_proto::v1::{Event, EvpnRoute, PathAttributes};

use crate::{
    common::Bed,
    made::{Voice, at, octets, path},
    rows,
};

/// The address 02:00:00:00:00:`host` with its IP address in VNI 10 `vni`, as VTEP number `vtep`
/// announces it.
pub(crate) fn mac(vtep: u8, host: u8, vni: u32, esi: u8) -> EvpnRoute {
    let mut segment = vec![0; 10];
    segment[9] = esi;
    EvpnRoute {
        route_type: 2,
        // 192.0.2.VTEP:1
        route_distinguisher: vec![0, 1, 192, 0, 2, vtep, 0, 1].into(),
        esi: segment.into(),
        ethernet_tag: Some(0),
        mac: vec![2, 0, 0, 0, 0, host].into(),
        ip: octets(&format!("10.0.0.{host}")),
        vnis: vec![vni],
        raw: vec![2, vtep, host].into(),
        ..EvpnRoute::default()
    }
}

/// A VTEP is on Ethernet segment 9.
pub(crate) fn member(vtep: u8) -> EvpnRoute {
    EvpnRoute {
        route_type: 4,
        route_distinguisher: vec![0, 1, 192, 0, 2, vtep, 0, 0].into(),
        esi: vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 9].into(),
        originator: octets(&format!("203.0.113.{vtep}")),
        raw: vec![4, vtep].into(),
        ..EvpnRoute::default()
    }
}

pub(crate) fn moved(times: u64) -> PathAttributes {
    PathAttributes { extended_communities: vec![0x0600_0000_0000_0000 + times], ..path("64501") }
}

pub(crate) fn say(
    voice: &mut Voice,
    second: u64,
    vtep: u8,
    route: EvpnRoute,
    attributes: PathAttributes,
) -> Event {
    voice.announce_evpn(second, route, &format!("203.0.113.{vtep}"), attributes)
}

#[tokio::test(flavor = "multi_thread")]
async fn moves_duplicates_vteps_segments_and_networks_are_those_of_the_story() {
    let bed = Bed::new(1).await;
    let mut fabric = Voice::new(1, 1, 64_501);
    let events = vec![
        fabric.up(1),
        say(&mut fabric, 2, 1, mac(1, 1, 10_010, 0), path("64501")),
        // One at two VTEPs at once.
        say(&mut fabric, 3, 1, mac(1, 2, 10_010, 0), path("64501")),
        say(&mut fabric, 4, 2, mac(2, 2, 10_010, 0), path("64501")),
        // One that is on an Ethernet segment of two.
        say(&mut fabric, 5, 1, member(1), path("64501")),
        say(&mut fabric, 5, 2, member(2), path("64501")),
        say(&mut fabric, 6, 1, mac(1, 3, 10_020, 9), path("64501")),
        say(&mut fabric, 7, 2, mac(2, 3, 10_020, 9), path("64501")),
        // The first moves twice, each time withdrawn behind.
        say(&mut fabric, 60, 2, mac(2, 1, 10_010, 0), moved(1)),
        fabric.withdraw_evpn(61, mac(1, 1, 10_010, 0)),
        say(&mut fabric, 100, 1, mac(1, 1, 10_010, 0), moved(2)),
        fabric.withdraw_evpn(101, mac(2, 1, 10_010, 0)),
    ];
    bed.store(&events).await;
    let moves = format!(
        "select mac, vni, host(was) as was, host(next_hop) as next_hop, mobility, \
             extract(epoch from after)::integer as after \
         from evpn_mac_moves({}) order by mac, time",
        at(0)
    );
    assert_eq!(
        rows(&bed, &moves).await,
        [
            "02:00:00:00:00:01 10010 203.0.113.1 203.0.113.2 1 58",
            "02:00:00:00:00:01 10010 203.0.113.2 203.0.113.1 2 40",
            "02:00:00:00:00:02 10010 203.0.113.1 203.0.113.2 - 1",
        ]
    );
    assert_eq!(
        rows(
            &bed,
            "select mac, vni, array_to_string(vteps, ',') as vteps from evpn_duplicate_macs"
        )
        .await,
        ["02:00:00:00:00:02 10010 203.0.113.1,203.0.113.2"]
    );
    assert_eq!(
        rows(
            &bed,
            "select host(vtep) as vtep, mac_routes, macs, array_to_string(vni_list, ',') \
                    from evpn_vteps order by vtep"
        )
        .await,
        ["203.0.113.1 3 3 10010,10020", "203.0.113.2 2 2 10010,10020"]
    );
    assert_eq!(
        rows(&bed, "select esi, array_to_string(members, ',') as members, macs from evpn_segments")
            .await,
        ["00:00:00:00:00:00:00:00:00:09 203.0.113.1,203.0.113.2 1"]
    );
    assert_eq!(
        rows(&bed, "select vni, macs, hosts, vteps, routes from evpn_vnis order by vni").await,
        ["10010 2 2 2 3", "10020 1 1 2 2"]
    );
    let history = "select change, host(next_hop) as next_hop, mobility, \
                       extract(epoch from lasted)::integer as lasted \
                   from evpn_history('02:00:00:00:00:01')";
    assert_eq!(
        rows(&bed, history).await,
        [
            "new 203.0.113.1 - -",
            "new 203.0.113.2 1 -",
            "withdrawn - - 59",
            "new 203.0.113.1 2 -",
            "withdrawn - - 41",
        ]
    );

    check_moments(&bed).await;
    // The same of an epoch that another has followed.
    bed.store(&[fabric.down(200), fabric.up(210)]).await;
    check_moments(&bed).await;
    assert_eq!(bed.number(&format!("select count(*) from evpn_rib_at({})", at(205))).await, 0);
}

/// Where the first address is at moments of the story, and how many routes there are.
async fn check_moments(bed: &Bed) {
    for (second, expected) in [
        (1, "- 0"),
        (30, "203.0.113.1 7"),
        (60, "203.0.113.1,203.0.113.2 8"),
        (70, "203.0.113.2 7"),
        (100, "203.0.113.1,203.0.113.2 8"),
        (110, "203.0.113.1 7"),
    ] {
        let held = format!(
            "select string_agg(host(next_hop), ',' order by next_hop) \
                 filter (where mac = '02:00:00:00:00:01'), count(*) from evpn_rib_at({})",
            at(second)
        );
        assert_eq!(rows(bed, &held).await, [expected], "at {second}");
    }
}
