//! Generates the Rust types from `ribstream/v1/event.proto`, without a protoc.

use std::{io, path::Path};

use prost_types::{
    FieldDescriptorProto, FileDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

/// Fields whose JSON is neither what serde would make of the Rust type nor what
/// [`usual_form`] says: message and field, then the function in `src/json.rs`.
const JSON_FORMS: &[(&str, &str)] = &[
    ("Event.router_address", "address"),
    ("Peer.type", "peer_type"),
    ("Peer.distinguisher", "distinguisher"),
    ("Peer.address", "address"),
    ("Peer.bgp_id", "address"),
    ("RouteUpdate.view", "rib_view"),
    ("RouteUpdate.overruled", "overruled"),
    ("Routes.next_hop", "address"),
    ("Routes.link_local_next_hop", "address"),
    ("Prefix.address", "address"),
    ("PrefixRoute.route_distinguisher", "distinguisher"),
    ("EvpnRoute.route_distinguisher", "distinguisher"),
    ("EvpnRoute.esi", "colons"),
    ("EvpnRoute.mac", "colons"),
    ("EvpnRoute.ip", "address"),
    ("EvpnRoute.gateway", "address"),
    ("EvpnRoute.originator", "address"),
    ("EvpnRoute.source", "address"),
    ("EvpnRoute.group", "address"),
    ("OtherRoute.route_distinguisher", "distinguisher"),
    ("RouteTargetMembership.route_target", "route_target"),
    ("MvpnRoute.source", "address"),
    ("MvpnRoute.group", "address"),
    ("MvpnRoute.originator", "address"),
    ("MdtRoute.source", "address"),
    ("MdtRoute.group", "address"),
    ("VplsRoute.pe_address", "address"),
    ("MupRoute.address", "address"),
    ("MupRoute.endpoint", "address"),
    ("MupRoute.source", "address"),
    ("SrPolicyRoute.endpoint", "address"),
    ("LinkStateNlri.interface_addresses", "addresses"),
    ("LinkStateNlri.neighbor_addresses", "addresses"),
    ("LinkStateNlri.srv6_sids", "addresses"),
    ("LinkStateNode.ospf_area_id", "address"),
    ("LinkStateNode.igp_router_id", "igp_router_id"),
    ("LinkStateNode.bgp_router_id", "address"),
    ("LinkStateNode.router_ids", "addresses"),
    ("LinkStateCandidatePath.endpoint", "address"),
    ("LinkStateCandidatePath.originator", "address"),
    ("LinkStateAttribute.node_name", "text_or_hex"),
    ("LinkStateAttribute.isis_areas", "isis_areas"),
    ("LinkStateAttribute.local_router_ids", "addresses"),
    ("LinkStateAttribute.remote_router_ids", "addresses"),
    ("LinkStateAttribute.link_name", "text_or_hex"),
    ("LinkStateAttribute.ospf_forwarding_address", "address"),
    ("LinkStateAttribute.source_router_id", "address"),
    ("LinkStateAttribute.source_ospf_router_id", "address"),
    ("LinkStateAdjacencySid.neighbor_id", "igp_router_id"),
    ("LinkStateSrv6EndXSid.neighbor_id", "igp_router_id"),
    ("LinkStateSrv6EndXSid.sid", "address"),
    ("LinkStateSrv6PeerNodeSid.peer_bgp_id", "address"),
    ("PathAttributes.origin", "origin"),
    ("PathAttributes.next_hop", "optional_address"),
    ("PathAttributes.communities", "communities"),
    ("PathAttributes.extended_communities", "extended_communities"),
    ("PathAttributes.originator_id", "optional_address"),
    ("PathAttributes.cluster_list", "addresses"),
    ("PathAttributes.ipv6_extended_communities", "ipv6_extended_communities"),
    ("PmsiTunnel.address", "address"),
    ("PmsiTunnel.group", "address"),
    ("Tunnel.egress_endpoint", "optional_address"),
    ("TunnelHeader.mac", "colons"),
    ("BindingSid.sid", "address"),
    ("Segment.sid", "address"),
    ("Segment.address", "address"),
    ("Segment.remote_address", "address"),
    ("Srv6SidInformation.sid", "address"),
    ("BfdDiscriminator.source", "address"),
    ("AsPathSegment.type", "as_path_segment_type"),
    ("Aggregator.address", "address"),
    ("AttributeError.verdict", "attribute_verdict"),
    ("PeerUp.local_address", "address"),
    ("Open.bgp_id", "address"),
    ("InformationTlv.value", "text_or_hex"),
    ("PeerDown.reason", "peer_down_reason"),
    ("RouterDown.reason", "router_down_reason"),
    ("DeadLetter.router_address", "address"),
];

/// Fields that are big and that few messages have.
const BOXED: &[&str] = &[
    "OtherRoute.nlri.link_state",
    "PathAttributes.link_state",
    // Many tunnels fit into an attribute, and few have these.
    "Tunnel.prefix_sid",
    "Tunnel.sr_candidate_path",
];

fn main() -> io::Result<()> {
    let proto = Path::new("ribstream/v1/event.proto");
    println!("cargo::rerun-if-changed=ribstream/v1");
    let descriptors = protox::compile([proto], ["."]).map_err(io::Error::other)?;
    let mut config = prost_build::Config::new();
    config
        .bytes(["."])
        .type_attribute(".", "#[derive(::serde::Serialize)]")
        .type_attribute(".", "#[allow(missing_docs)]")
        .enum_attribute("ribstream.v1.Event.body", "#[serde(rename_all = \"snake_case\")]")
        .field_attribute("ribstream.v1.Event.body", "#[serde(flatten)]");
    for (field, absent) in absent_forms(&descriptors.file) {
        config.field_attribute(field, format!("#[serde(skip_serializing_if = \"{absent}\")]"));
    }
    for (field, form) in json_forms(&descriptors.file) {
        config
            .field_attribute(field, format!("#[serde(serialize_with = \"crate::json::{form}\")]"));
    }
    for oneof in ["OtherRoute.nlri", "BgpMessage.body"] {
        config
            .enum_attribute(
                format!("ribstream.v1.{oneof}"),
                "#[serde(rename_all = \"snake_case\")]",
            )
            .field_attribute(format!("ribstream.v1.{oneof}"), "#[serde(flatten)]");
    }
    for field in BOXED {
        config.boxed(format!("ribstream.v1.{field}"));
    }
    config.compile_fds(descriptors)
}

/// Every field with a JSON form of its own: as listed, else as usual for its type.
fn json_forms(files: &[FileDescriptorProto]) -> Vec<(String, &'static str)> {
    let mut forms = Vec::new();
    for file in files {
        for message in &file.message_type {
            for field in &message.field {
                let name = format!("{}.{}", message.name(), field.name());
                let listed = JSON_FORMS.iter().find(|(listed, _)| *listed == name);
                if let Some(form) = listed.map(|(_, form)| *form).or_else(|| usual_form(field)) {
                    forms.push((format!("{}.{name}", file.package()), form));
                }
            }
        }
    }
    forms
}

/// Bytes as hexadecimal digits, prefixes as text.
fn usual_form(field: &FieldDescriptorProto) -> Option<&'static str> {
    match (field.label(), field.r#type()) {
        (Label::Repeated, Type::Bytes) => Some("hex_list"),
        (_, Type::Bytes) => Some("hex"),
        (Label::Optional, Type::Message) if field.type_name() == ".ribstream.v1.Prefix" => {
            Some("prefix")
        }
        _ => None,
    }
}

/// For each field that can be absent or empty, the test that leaves it out of the JSON.
fn absent_forms(files: &[FileDescriptorProto]) -> Vec<(String, &'static str)> {
    let mut forms = Vec::new();
    for file in files {
        for message in &file.message_type {
            for field in &message.field {
                if field.oneof_index.is_some() && !field.proto3_optional() {
                    continue;
                }
                let absent = match (field.label(), field.r#type()) {
                    (Label::Repeated, _) => "Vec::is_empty",
                    (_, Type::Message) => "Option::is_none",
                    _ if field.proto3_optional() => "Option::is_none",
                    (_, Type::Bytes) => "::prost::bytes::Bytes::is_empty",
                    (_, Type::String) => "String::is_empty",
                    (_, Type::Bool) => "::core::ops::Not::not",
                    _ => continue,
                };
                forms.push((
                    format!("{}.{}.{}", file.package(), message.name(), field.name()),
                    absent,
                ));
            }
        }
    }
    forms
}
