//! BGP-LS: ExaBGP's test cases against what ExaBGP makes of them, field by field.

mod support;

use std::{fs, path::Path};

use ribstream_proto::{
    text,
    v1::{
        LinkStateAttribute, LinkStateNlri, LinkStateNode, LinkStateSrv6EndXSid, RouteUpdate,
        other_route::Nlri,
    },
};
use serde_json::{Map, Value, json};
use support::{
    Heard, attribute, base_attributes,
    exabgp::{cases, octets},
    route_monitoring, update,
};

/// What we make of a test case, and what ExaBGP makes of it.
fn case(number: u8) -> (RouteUpdate, Value) {
    if number == 1 {
        return nlri_alone("bgp-ls-1");
    }
    let case = cases(&format!("bgp-ls-{number}")).remove(0);
    (case.update, case.expected)
}

/// A case that is an NLRI and no UPDATE.
fn nlri_alone(name: &str) -> (RouteUpdate, Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/exabgp").join(name);
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let reach = [&[0x40, 4, 71, 4, 192, 0, 2, 1, 0][..], &octets(lines[1]).unwrap()].concat();
    let attributes = [base_attributes(), attribute(0x80, 14, &reach)].concat();
    let message = update(&[], &attributes, &[]);
    let update = Heard::of(&[route_monitoring(0, 0, &[message])]).updates().remove(0);
    (update, serde_json::from_str(lines[2]).unwrap())
}

fn nlri(update: &RouteUpdate) -> &LinkStateNlri {
    match &update.announced[0].other[0].nlri {
        Some(Nlri::LinkState(nlri)) => nlri,
        other => panic!("{other:?}"),
    }
}

fn link_state(update: &RouteUpdate) -> &LinkStateAttribute {
    update.attributes.as_ref().unwrap().link_state.as_ref().unwrap()
}

fn addresses(list: &[bytes::Bytes]) -> Value {
    list.iter().map(|address| text::address(address)).collect()
}

/// Our node as ExaBGP writes one.
fn node(node: Option<&LinkStateNode>) -> Value {
    let node = node.unwrap();
    let mut list = Vec::new();
    list.extend(node.asn.map(|asn| json!({"autonomous-system": asn})));
    list.extend(node.bgp_ls_identifier.map(|id| json!({"bgp-ls-identifier": id.to_string()})));
    if !node.ospf_area_id.is_empty() {
        list.push(json!({"ospf-area-id": text::address(&node.ospf_area_id)}));
    }
    let id = &node.igp_router_id;
    list.push(match id.len() {
        4 => json!({"router-id": text::address(id)}),
        6 => json!({"router-id": text::hex(id)}),
        7 => json!({"router-id": text::hex(id), "psn": id[6].to_string()}),
        8 => json!({
            "router-id": text::address(&id[..4]),
            "designated-router-id": text::address(&id[4..]),
        }),
        other => panic!("{other}"),
    });
    list.into()
}

/// Our NLRI as ExaBGP writes one.
fn nlri_as_exabgp(nlri: &LinkStateNlri) -> Value {
    let mut object = Map::new();
    object.insert("l3-routing-topology".into(), nlri.identifier.into());
    object.insert("protocol-id".into(), nlri.protocol_id.into());
    let local = node(nlri.local_node.as_ref());
    if nlri.nlri_type != 2 {
        object.insert("node-descriptors".into(), local);
        let kind = if nlri.nlri_type == 1 { "bgpls-node" } else { "bgpls-prefix-v4" };
        object.insert("ls-nlri-type".into(), kind.into());
        if let Some(prefix) = &nlri.prefix {
            object.insert("ip-reachability-tlv".into(), text::prefix(prefix).into());
            object.insert("ip-reach-prefix".into(), text::prefix(prefix).into());
        }
        return object.into();
    }
    object.insert("ls-nlri-type".into(), "bgpls-link".into());
    object.insert("local-node-descriptors".into(), local);
    object.insert("remote-node-descriptors".into(), node(nlri.remote_node.as_ref()));
    object.insert("interface-addresses".into(), addresses(&nlri.interface_addresses));
    object.insert("neighbor-addresses".into(), addresses(&nlri.neighbor_addresses));
    object.insert("multi-topology-ids".into(), nlri.multi_topology_ids.clone().into());
    let identifiers = nlri.link_local_id.zip(nlri.link_remote_id);
    let identifiers = identifiers
        .map(|(local, remote)| json!({"link-local-id": local, "link-remote-id": remote}));
    object.insert("link-identifiers".into(), identifiers.into_iter().collect());
    object.into()
}

/// The high bits of flags, each under its name, and the rest of `width` bits as RSV.
fn flags(value: u32, width: u32, names: &[&str]) -> Value {
    let mut object = Map::new();
    let mut bit = width;
    for name in names {
        bit -= 1;
        object.insert((*name).into(), (value >> bit & 1).into());
    }
    object.insert("RSV".into(), (value & ((1 << bit) - 1)).into());
    object.into()
}

fn end_x(sid: &LinkStateSrv6EndXSid) -> Value {
    let structure = sid.structure.unwrap();
    let mut object = json!({
        "flags": flags(sid.flags, 8, &["B", "S", "P"]),
        "behavior": sid.behavior,
        "algorithm": sid.algorithm,
        "weight": sid.weight,
        "sid": text::address(&sid.sid),
        "srv6-sid-structure": {
            "loc_block_len": structure.locator_block,
            "loc_node_len": structure.locator_node,
            "func_len": structure.function,
            "arg_len": structure.argument,
        },
    });
    if !sid.neighbor_id.is_empty() {
        object["neighbor-id"] = text::hex(&sid.neighbor_id).into();
    }
    object
}

/// Our attribute as ExaBGP writes one.
fn attribute_as_exabgp(ours: &LinkStateAttribute) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            object.insert(name.into(), value);
        }
    };
    let list = |values: Vec<Value>| (!values.is_empty()).then(|| Value::from(values));
    let node_flags = |value| flags(value, 8, &["O", "T", "E", "B", "R", "V"]);
    put("node-flags", ours.node_flags.map(node_flags));
    let name = std::str::from_utf8(&ours.node_name).unwrap();
    put("node-name", (!name.is_empty()).then(|| name.into()));
    // ExaBGP has an area as one big number.
    let area = |area: &bytes::Bytes| {
        area.iter().fold(0, |all: u128, octet| all << 8 | u128::from(*octet)).to_string().into()
    };
    put("area-ids", list(ours.isis_areas.iter().map(area).collect()));
    let ids = |ids: &[bytes::Bytes]| (!ids.is_empty()).then(|| addresses(ids));
    put("local-router-ids", ids(&ours.local_router_ids));
    put("remote-router-ids", ids(&ours.remote_router_ids));
    if let Some(block) = &ours.sr_capabilities {
        put("sr-capability-flags", Some(flags(block.flags, 8, &["I", "V"])));
        let ranges =
            block.ranges.iter().map(|range| json!([range.size, range.first.unwrap().label]));
        put("sids", Some(ranges.collect()));
    }
    put("sr-algorithms", list(ours.sr_algorithms.iter().map(|a| (*a).into()).collect()));
    let identifiers = ours.link_local_id.zip(ours.link_remote_id);
    put(
        "link-local-remote-identifiers",
        identifiers.map(|(local, remote)| json!({"local-id": local, "remote-id": remote})),
    );
    put("admin-group-mask", ours.admin_group.map(Into::into));
    put("maximum-link-bandwidth", ours.max_bandwidth.map(Into::into));
    put("maximum-reservable-link-bandwidth", ours.max_reservable_bandwidth.map(Into::into));
    put(
        "unreserved-bandwidth",
        list(ours.unreserved_bandwidth.iter().map(|b| (*b).into()).collect()),
    );
    put("te-metric", ours.te_metric.map(Into::into));
    put("igp-metric", ours.igp_metric.map(Into::into));
    let adjacency = |sid: &ribstream_proto::v1::LinkStateAdjacencySid| {
        json!({
            "flags": flags(sid.flags, 8, &["F", "B", "V", "L", "S", "P"]),
            "sids": [sid.sid.unwrap().label],
            "weight": sid.weight,
            "undecoded-sids": [],
        })
    };
    put("sr-adjs", list(ours.adjacency_sids.iter().map(adjacency).collect()));
    put("srv6-endx", list(ours.srv6_end_x_sids.iter().map(end_x).collect()));
    put("srv6-lan-endx-isis", list(ours.srv6_lan_end_x_sids.iter().map(end_x).collect()));
    put(
        "unidirectional-link-delay",
        ours.delay.map(|delay| json!({"delay-us": delay.value, "anomalous": delay.anomalous})),
    );
    put(
        "minmax-unidirectional-link-delay",
        ours.delay_range.map(|range| {
            json!({
                "min-delay-us": range.minimum,
                "max-delay-us": range.maximum,
                "anomalous": range.anomalous,
            })
        }),
    );
    put("unidirectional-delay-variation", ours.delay_variation.map(Into::into));
    put("prefix-metric", ours.prefix_metric.map(Into::into));
    let first = ours.prefix_attribute_flags.first();
    put(
        "sr-prefix-attribute-flags",
        first.map(|first| flags((*first).into(), 8, &["X", "R", "N"])),
    );
    object.into()
}

#[test]
fn every_field_that_exabgp_knows_is_as_exabgp_has_it() {
    for number in 2..=10 {
        let (update, expected) = case(number);
        let next_hops = expected["announce"]["bgp-ls bgp-ls"].as_object().unwrap();
        let (next_hop, routes) = next_hops.iter().next().unwrap();
        assert_eq!(text::address(&update.announced[0].next_hop), *next_hop);
        let mut route = routes[0].clone();
        route.as_object_mut().unwrap().remove("nexthop");
        assert_eq!(nlri_as_exabgp(nlri(&update)), route, "case {number}");
        assert!(nlri(&update).other.is_empty());

        let mut theirs = expected["attribute"]["bgp-ls"].clone();
        // What ExaBGP does not decode.
        theirs.as_object_mut().unwrap().retain(|name, _| !name.starts_with("generic-lsid"));
        let ours = link_state(&update);
        assert_eq!(attribute_as_exabgp(ours), theirs, "case {number}");
        assert!(ours.other.is_empty(), "case {number}");
    }
    let (update, expected) = case(1);
    assert_eq!(nlri_as_exabgp(nlri(&update)), expected);
}

#[test]
fn what_exabgp_leaves_undecoded_is_decoded() {
    // Case 6, `generic-lsid-1122`.
    let (update, _) = case(6);
    let some = &link_state(&update).application_attributes[0];
    // The application is the flexible algorithm.
    assert_eq!(some.standard_applications[..], [0x10, 0, 0, 0]);
    assert_eq!(some.user_applications[..], [0, 0, 0, 0]);
    let attributes = some.attributes.as_ref().unwrap();
    assert_eq!(attributes.te_metric, Some(10));
    let range = attributes.delay_range.unwrap();
    assert_eq!((range.anomalous, range.minimum, range.maximum), (false, 10, 0));
    assert!(attributes.other.is_empty());

    // Case 9, `generic-lsid-266` and `generic-lsid-1036`.
    let (update, _) = case(9);
    let ours = link_state(&update);
    assert_eq!((ours.node_msds[0].r#type, ours.node_msds[0].value), (1, 10));
    let block = ours.sr_local_block.as_ref().unwrap();
    assert_eq!((block.flags, block.ranges[0].size), (0, 1000));
    assert_eq!(block.ranges[0].first.unwrap().label, Some(15000));
}

#[test]
fn routes_read_as_ios_xr_prints_them() {
    let expected = [
        "[E][O][I0x0][N[c1][b192.168.122.126][a0.0.0.0][r10.10.10.10]]\
         [R[c1][b192.168.122.126][a0.0.0.0][r10.2.2.2]]",
        "[E][O][I0x0][N[c65001][b0.0.0.0][a0.0.0.0][r10.1.1.1]]\
         [R[c65001][b0.0.0.0][a0.0.0.0][r10.1.4.1][d10.1.1.2]][L[i10.1.1.1][n10.1.1.2]]",
        "[E][O][I0x0][N[c65001][b0.0.0.0][a0.0.0.0][r10.1.1.1]]\
         [R[c65001][b0.0.0.0][a0.0.0.0][r10.1.4.1][d10.1.1.2]][L[i10.1.1.1][n10.1.1.2]]",
        "[E][L2][I0x2][N[c3352][b0.0.0.178][s1921.6825.2240.00]]\
         [R[c3352][b0.0.0.178][s1921.6825.2162.00]][L[i192.168.199.84][n192.168.199.85]]",
        "[E][L2][I0x0][N[s0001.0000.0001.00]][R[s0001.0000.0002.00]][L[i10.0.0.0][n10.0.0.1]]",
        "[E][L2][I0x0][N[c138384][b0.0.0.0][s0000.0000.0015.00]]\
         [R[c138384][b0.0.0.0][s0003.0000.0009.00]][L[l39.53][t0x0002]]",
        "[V][L1][I0x4][N[c64531][b0.0.0.139][s1921.6825.1231.00]]",
        "[T][L2][I0x2bc][N[c15924][b0.0.0.0][s0101.3500.0041.00]][P[p10.134.2.88/30]]",
        "[V][L2][I0x2bc][N[c15924][b0.0.0.0][s0101.3400.0041.00]]",
        "[E][L2][I0x0][N[c12322][b0.0.0.0][s0000.0000.0013.00]]\
         [R[c12322][b0.0.0.0][s0000.0000.0014.03]][L[l16.0][t0x0002]]",
    ];
    for (number, expected) in (1..).zip(expected) {
        assert_eq!(text::link_state(nlri(&case(number).0)), expected, "case {number}");
    }
}

#[test]
fn the_json_of_an_event_has_addresses_areas_and_identifiers_as_text() {
    let (update, _) = case(7);
    let json = serde_json::to_value(&update).unwrap();
    assert_eq!(
        json["attributes"]["link_state"],
        json!({
            "node_flags": 0,
            "node_name": "HL5MMT1-107-IXR-R6",
            "isis_areas": ["49.0000.0000.ff98.0000"],
            "local_router_ids": ["192.168.175.49", "192.168.175.51", "192.168.251.231"],
        })
    );
    assert_eq!(
        json["announced"][0]["other"][0]["link_state"],
        json!({
            "nlri_type": 1,
            "protocol_id": 1,
            "identifier": 4,
            "local_node": {
                "asn": 64531,
                "bgp_ls_identifier": 139,
                "igp_router_id": "1921.6825.1231",
            },
        })
    );
}

#[test]
fn a_broken_attribute_is_left_out_and_the_routes_stand() {
    let node = [1, 0, 0, 10, 2, 3, 0, 6, 0, 0, 0, 0, 0, 1];
    let mut reach = vec![0x40, 4, 71, 4, 192, 0, 2, 1, 0, 0, 1, 0, 23, 2];
    reach.extend([0; 8]);
    reach.extend(node);
    let broken = attribute(0x80, 29, &[4, 2, 0, 9, b'x']);
    let attributes = [base_attributes(), attribute(0x80, 14, &reach), broken];
    let message = update(&[], &attributes.concat(), &[]);
    let heard = Heard::of(&[route_monitoring(0, 0, &[message])]);
    let update = heard.updates().remove(0);
    assert_eq!(nlri(&update).protocol_id, 2);
    assert_eq!(update.attributes.as_ref().unwrap().link_state, None);
    let errors = serde_json::to_value(&update).unwrap()["attribute_errors"].clone();
    assert_eq!((&errors[0]["type"], &errors[0]["verdict"]), (&json!(29), &json!("discard")));
}
