//! UPDATE messages and their path attributes.

use ribstream_proto::v1::{
    Aggregator, Aigp, AsPath, AsPathSegment, AsPathSegmentType, Family, Origin, PathAttributes,
    PathMarking, PrefixSid, RawAttribute, RouteTlv, RouteUpdate, Routes, Srv6Service,
    Srv6SidInformation, Srv6SidStructure,
};
use serde_json::Value;

use super::{
    address, bit, fields, list,
    nlri::{routes, unicast},
    number, octets,
    open::{capability, capability_octets},
    text, variant,
};

pub(super) fn route_update(message: &Value) -> RouteUpdate {
    let [update] = fields(message, ["Update"]);
    let [withdrawn, attributes, nlri] =
        fields(update, ["withdrawn_routes", "path_attributes", "nlri"]);
    let mut ours = RouteUpdate::default();
    let mut values = PathAttributes::default();
    for attribute in list(attributes) {
        read_attribute(attribute, &mut values, &mut ours);
    }
    let ipv4 = Family { afi: 1, safi: 1 };
    if !list(withdrawn).is_empty() {
        ours.withdrawn.push(unicast(ipv4, withdrawn));
    }
    if !list(nlri).is_empty() {
        let next_hop = values.next_hop.clone().unwrap();
        ours.announced.push(Routes { next_hop, ..unicast(ipv4, nlri) });
    }
    // RFC 4724, 2: an UPDATE of nothing, or of nothing but an empty MP_UNREACH_NLRI.
    let has_routes = |routes: &Routes| !routes.prefixes.is_empty() || !routes.evpn.is_empty();
    if ours.announced.is_empty() && !ours.withdrawn.iter().any(has_routes) {
        let families =
            ours.withdrawn.drain(..).map(|Routes { afi, safi, .. }| Family { afi, safi });
        ours.end_of_rib = families.collect();
        if ours.end_of_rib.is_empty() {
            ours.end_of_rib.push(ipv4);
        }
    }
    if ours.announced.is_empty() {
        assert_eq!(values, PathAttributes::default(), "attributes of no routes");
    } else {
        let path = values.as_path.as_ref().unwrap();
        ours.asn_width = if path.segments.is_empty() { 0 } else { 4 };
        ours.attributes = Some(values);
    }
    ours
}

fn read_attribute(attribute: &Value, values: &mut PathAttributes, update: &mut RouteUpdate) {
    let [optional, transitive, partial, extended, value] =
        fields(attribute, ["optional", "transitive", "partial", "extended_length", "value"]);
    let (kind, value) = variant(value);
    match kind {
        "Origin" => {
            let origin = match text(value) {
                "IGP" => Origin::Igp,
                "Incomplete" => Origin::Incomplete,
                other => panic!("{other}"),
            };
            values.origin = Some(origin.into());
        }
        "AsPath" => values.as_path = Some(as_path(value)),
        "NextHop" => values.next_hop = Some(address(fields(value, ["next_hop"])[0])),
        "MultiExitDiscriminator" => values.med = Some(number(fields(value, ["metric"])[0])),
        "LocalPreference" => values.local_pref = Some(number(fields(value, ["metric"])[0])),
        "AtomicAggregate" => values.atomic_aggregate = true,
        "Aggregator" => {
            let [aggregator] = fields(value, ["As4Aggregator"]);
            let [asn, origin] = fields(aggregator, ["asn", "origin"]);
            values.aggregator = Some(Aggregator { asn: number(asn), address: address(origin) });
        }
        "Communities" => {
            let [communities] = fields(value, ["communities"]);
            values.communities = list(communities).iter().map(number).collect();
        }
        "ExtendedCommunities" => {
            let [communities] = fields(value, ["communities"]);
            values.extended_communities =
                list(communities).iter().map(extended_community).collect();
        }
        "Originator" => values.originator_id = Some(address(value)),
        "ClusterList" => values.cluster_list = list(value).iter().map(address).collect(),
        "Aigp" => {
            let [metric] = fields(value, ["AccumulatedIgpMetric"]);
            values.aigp = Some(Aigp { metric: Some(number(metric)), ..Aigp::default() });
        }
        "PrefixSegmentIdentifier" => values.prefix_sid = Some(prefix_sid(value)),
        "UnknownAttribute" => {
            let [code, value] = fields(value, ["code", "value"]);
            let flags = [(optional, 0x80), (transitive, 0x40), (partial, 0x20), (extended, 0x10)];
            values.other.push(RawAttribute {
                r#type: number(code),
                flags: flags.map(|(is_set, flag)| bit::<u32>(is_set, flag)).iter().sum(),
                value: octets(value).into(),
            });
        }
        "MpReach" => update.announced.push(routes(value)),
        "MpUnreach" => update.withdrawn.push(routes(value)),
        other => panic!("{other}"),
    }
}

fn as_path(value: &Value) -> AsPath {
    let [segments] = fields(value, ["As4PathSegments"]);
    let segment = |segment: &Value| {
        let [kind, asns] = fields(segment, ["segment_type", "as_numbers"]);
        assert_eq!(kind, "AsSequence");
        AsPathSegment {
            r#type: AsPathSegmentType::AsSequence.into(),
            asns: list(asns).iter().map(number).collect(),
        }
    };
    AsPath { segments: list(segments).iter().map(segment).collect() }
}

/// The eight octets.
fn extended_community(value: &Value) -> u64 {
    let (class, value) = variant(value);
    let (kind, value) = variant(value);
    let octets = match (class, kind) {
        ("TransitiveTwoOctet", "RouteTarget" | "RouteOrigin") => {
            let [global, local] = fields(value, ["global_admin", "local_admin"]);
            let subtype = if kind == "RouteTarget" { 2 } else { 3 };
            let global = number::<u16>(global).to_be_bytes();
            [&[0, subtype], &global[..], &number::<u32>(local).to_be_bytes()].concat()
        }
        // RFC 7432 and RFC 8214, 3.1: flags, MTU and two octets that are reserved.
        ("Evpn", "EvpnL2Attribute") => {
            let [flags, mtu] = fields(value, ["control_flags", "l2_mtu"]);
            let [flags, mtu] = [flags, mtu].map(|value| number::<u16>(value).to_be_bytes());
            [&[6, 4], &flags[..], &mtu, &[0, 0]].concat()
        }
        // Unreachable prefix announcements: flags, a reserved octet, who says so.
        ("TransitiveOpaque", "Upa") => {
            let [drop, router] = fields(value, ["drop", "bgp_router_id"]);
            [&[3, 9, bit(drop, 0x80), 0], &address(router)[..]].concat()
        }
        other => panic!("{other:?}"),
    };
    u64::from_be_bytes(octets.try_into().unwrap())
}

fn prefix_sid(value: &Value) -> PrefixSid {
    let [tlvs] = fields(value, ["tlvs"]);
    let mut sid = PrefixSid::default();
    for tlv in list(tlvs) {
        match variant(tlv) {
            ("LabelIndex", value) => {
                let [flags, index] = fields(value, ["flags", "label_index"]);
                sid.label_index = Some(number(index));
                sid.label_index_flags = number(flags);
            }
            ("SRv6ServiceL3", value) => sid.srv6_l3_service = Some(srv6_service(value)),
            ("SRv6ServiceL2", value) => sid.srv6_l2_service = Some(srv6_service(value)),
            other => panic!("{other:?}"),
        }
    }
    sid
}

/// RFC 9252, 3.
fn srv6_service(value: &Value) -> Srv6Service {
    let [_reserved, sids] = fields(value, ["reserved", "subtlvs"]);
    let information = |tlv: &Value| {
        let [information] = fields(tlv, ["SRv6SIDInformation"]);
        let [_reserved, sid, flags, behavior, _reserved_too, structure] = fields(
            information,
            [
                "reserved1",
                "sid",
                "service_sid_flags",
                "endpoint_behaviour",
                "reserved2",
                "subsubtlvs",
            ],
        );
        let [structure] = list(structure) else { panic!("{structure}") };
        Srv6SidInformation {
            sid: address(sid),
            flags: number(flags),
            endpoint_behavior: number(behavior),
            structure: Some(sid_structure(structure)),
            ..Srv6SidInformation::default()
        }
    };
    Srv6Service { sids: list(sids).iter().map(information).collect(), other: Vec::new() }
}

fn sid_structure(tlv: &Value) -> Srv6SidStructure {
    let [structure] = fields(tlv, ["SRv6SIDStructure"]);
    let lengths = [
        "locator_block_len",
        "locator_node_len",
        "function_len",
        "arg_len",
        "transposition_len",
        "transposition_offset",
    ];
    let [
        locator_block,
        locator_node,
        function,
        argument,
        transposition_length,
        transposition_offset,
    ] = fields(structure, lengths).map(number);
    Srv6SidStructure {
        locator_block,
        locator_node,
        function,
        argument,
        transposition_length,
        transposition_offset,
    }
}

/// draft-ietf-grow-bmp-tlv, and the drafts of the single ones.
pub(super) fn route_tlv(tlv: &Value) -> RouteTlv {
    let [index, value] = fields(tlv, ["index", "value"]);
    let (kind, value) = variant(value);
    let of = |kind, value: Vec<u8>| RouteTlv {
        r#type: kind,
        index: Some(number(index)),
        value: value.into(),
        ..RouteTlv::default()
    };
    match kind {
        "GroupTlv" => {
            let members = list(value).iter().flat_map(|index| number::<u16>(index).to_be_bytes());
            of(2, members.collect())
        }
        "VrfTableName" => of(3, text(value).as_bytes().to_vec()),
        "StatelessParsing" => of(1, capability_octets(&capability(value))),
        "PathMarking" => {
            let [status, reason] = fields(value, ["path_status", "reason"]);
            assert!(reason.is_null());
            assert_eq!(status, "BEST | PRIMARY | ADD_PATH");
            let marking = PathMarking { status: 0x8a, reason: None };
            RouteTlv { path_marking: Some(marking), ..of(5, Vec::new()) }
        }
        other => panic!("{other}"),
    }
}
