//! The JSON forms of fields that are bytes or numbers in protobuf and text for
//! people. `build.rs` says which field takes which.

mod link_state;

use bytes::Bytes;
use serde::{Serializer, ser::SerializeSeq};

pub(crate) use link_state::{igp_router_id, isis_areas};

use crate::{record, text, v1};

pub(crate) fn address<S: Serializer>(bytes: &Bytes, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&text::address(bytes))
}

#[allow(clippy::ref_option, reason = "serde passes a reference to the field")]
pub(crate) fn optional_address<S: Serializer>(
    bytes: &Option<Bytes>,
    s: S,
) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => address(bytes, s),
        None => s.serialize_none(),
    }
}

pub(crate) fn addresses<S: Serializer>(list: &[Bytes], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(list.iter().map(|bytes| text::address(bytes)))
}

pub(crate) fn hex<S: Serializer>(bytes: &Bytes, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&text::hex(bytes))
}

pub(crate) fn hex_list<S: Serializer>(list: &[Bytes], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(list.iter().map(|bytes| text::hex(bytes)))
}

/// A MAC address or an Ethernet segment: octets with colons between them.
pub(crate) fn colons<S: Serializer>(bytes: &Bytes, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&text::colons(bytes))
}

pub(crate) fn route_target<S: Serializer>(bytes: &Bytes, s: S) -> Result<S::Ok, S::Error> {
    match <[u8; 8]>::try_from(&**bytes) {
        Ok(octets) => s.serialize_str(&text::extended_community(u64::from_be_bytes(octets))),
        Err(_) => hex(bytes, s),
    }
}

pub(crate) fn ipv6_extended_communities<S: Serializer>(
    list: &[Bytes],
    s: S,
) -> Result<S::Ok, S::Error> {
    s.collect_seq(list.iter().map(|bytes| text::ipv6_extended_community(bytes)))
}

/// Text where it is UTF-8 without control characters, else hexadecimal digits after `0x`.
pub(crate) fn text_or_hex<S: Serializer>(bytes: &Bytes, s: S) -> Result<S::Ok, S::Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => s.serialize_str(text),
        _ => s.serialize_str(&format!("0x{}", text::hex(bytes))),
    }
}

pub(crate) fn distinguisher<S: Serializer>(bytes: &Bytes, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&record::distinguisher_text(bytes))
}

#[allow(clippy::ref_option, reason = "serde passes a reference to the field")]
pub(crate) fn prefix<S: Serializer>(prefix: &Option<v1::Prefix>, s: S) -> Result<S::Ok, S::Error> {
    match prefix {
        Some(prefix) => s.serialize_str(&text::prefix(prefix)),
        None => s.serialize_none(),
    }
}

pub(crate) fn communities<S: Serializer>(list: &[u32], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(list.iter().map(|c| format!("{}:{}", c >> 16, c & 0xffff)))
}

pub(crate) fn extended_communities<S: Serializer>(list: &[u64], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(list.iter().map(|c| text::extended_community(*c)))
}

/// `RIB_VIEW_ADJ_RIB_IN_PRE` becomes `adj-rib-in-pre`; an unknown value stays a number.
fn enum_text<S: Serializer>(
    full: Option<&'static str>,
    prefix: &str,
    value: i32,
    s: S,
) -> Result<S::Ok, S::Error> {
    match full {
        Some(full) => {
            let short = full.strip_prefix(prefix).unwrap_or(full);
            s.serialize_str(&short.to_ascii_lowercase().replace('_', "-"))
        }
        None => s.serialize_i32(value),
    }
}

macro_rules! enum_forms {
    ($($form:ident: $kind:ident, $prefix:literal;)*) => {$(
        #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
        pub(crate) fn $form<S: Serializer>(value: &i32, s: S) -> Result<S::Ok, S::Error> {
            let full = v1::$kind::try_from(*value).ok().map(|v| v.as_str_name());
            enum_text(full, $prefix, *value, s)
        }
    )*};
}

enum_forms! {
    peer_type: PeerType, "PEER_TYPE_";
    rib_view: RibView, "RIB_VIEW_";
    as_path_segment_type: AsPathSegmentType, "AS_PATH_SEGMENT_TYPE_";
    attribute_verdict: AttributeVerdict, "ATTRIBUTE_VERDICT_";
    peer_down_reason: PeerDownReason, "PEER_DOWN_REASON_";
    router_down_reason: RouterDownReason, "ROUTER_DOWN_REASON_";
}

#[allow(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference to the field"
)]
pub(crate) fn origin<S: Serializer>(value: &Option<i32>, s: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => {
            let full = v1::Origin::try_from(*value).ok().map(|v| v.as_str_name());
            enum_text(full, "ORIGIN_", *value, s)
        }
        None => s.serialize_none(),
    }
}

pub(crate) fn overruled<S: Serializer>(list: &[i32], s: S) -> Result<S::Ok, S::Error> {
    let mut seq = s.serialize_seq(Some(list.len()))?;
    for value in list {
        match v1::Overruled::try_from(*value) {
            Ok(known) => {
                let full = known.as_str_name();
                let short = full.strip_prefix("OVERRULED_").unwrap_or(full);
                seq.serialize_element(&short.to_ascii_lowercase().replace('_', "-"))?;
            }
            Err(_) => seq.serialize_element(value)?,
        }
    }
    seq.end()
}
