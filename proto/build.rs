//! Generates the Rust types from `ribstream/v1/event.proto`, without a protoc.

use std::{io, path::Path};

use prost_types::{
    FileDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

/// Fields whose JSON is not what serde would make of the Rust type:
/// message and field, then the function in `src/json.rs`.
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
    ("Routes.undecoded", "hex"),
    ("Prefix.address", "address"),
    ("PrefixRoute.prefix", "prefix"),
    ("PrefixRoute.route_distinguisher", "distinguisher"),
    ("PathAttributes.origin", "origin"),
    ("PathAttributes.next_hop", "optional_address"),
    ("PathAttributes.communities", "communities"),
    ("PathAttributes.extended_communities", "extended_communities"),
    ("PathAttributes.originator_id", "optional_address"),
    ("PathAttributes.cluster_list", "addresses"),
    ("AsPathSegment.type", "as_path_segment_type"),
    ("Aggregator.address", "address"),
    ("RawAttribute.value", "hex"),
    ("AttributeError.verdict", "attribute_verdict"),
    ("AttributeError.value", "hex"),
    ("PeerUp.local_address", "address"),
    ("Open.bgp_id", "address"),
    ("Open.raw", "hex"),
    ("Capability.value", "hex"),
    ("InformationTlv.value", "text_or_hex"),
    ("PeerDown.reason", "peer_down_reason"),
    ("PeerDown.data", "hex"),
    ("Notification.data", "hex"),
    ("Statistic.raw", "hex"),
    ("MirroredTlv.value", "hex"),
    ("RouterDown.reason", "router_down_reason"),
    ("DeadLetter.router_address", "address"),
    ("DeadLetter.message", "hex"),
    ("DeadLetter.record", "hex"),
];

fn main() -> io::Result<()> {
    let proto = Path::new("ribstream/v1/event.proto");
    println!("cargo::rerun-if-changed={}", proto.display());
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
    for (field, form) in JSON_FORMS {
        config.field_attribute(
            format!("ribstream.v1.{field}"),
            format!("#[serde(serialize_with = \"crate::json::{form}\")]"),
        );
    }
    config.compile_fds(descriptors)
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
