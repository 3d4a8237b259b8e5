//! Identifiers of the link-state protocols.

use bytes::Bytes;
use serde::Serializer;

use crate::text;

pub(crate) fn igp_router_id<S: Serializer>(id: &Bytes, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&text::igp_router_id(id))
}

pub(crate) fn isis_areas<S: Serializer>(areas: &[Bytes], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(areas.iter().map(|area| text::isis_area(area)))
}
