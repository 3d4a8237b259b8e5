//! Routes that are neither prefixes nor EVPN as rows of `other_events`.

use ribstream_proto::{
    key, text,
    v1::{OtherRoute, Routes, other_route::Nlri},
};
use serde_json::Value;

use super::{
    RowError, Table,
    copy::{PutColumn, PutOptional},
    json,
    route::put_distinguisher,
    update::{FieldRows, Name, copy_statement},
};

macro_rules! columns {
    () => {
        "next_hop_raw, path_id, route_distinguisher, nlri_text, nlri_json, nlri"
    };
}
pub(super) use columns;

pub(super) const COPY_OTHER_EVENTS: &str = copy_statement!("other_events", columns!());
const COLUMN_COUNT: i16 = 6;

/// One row a route, and one for the whole field of a family that is not known.
pub(super) fn append(routes: &Routes, rows: &mut FieldRows<'_>) -> Result<(), RowError> {
    let next_hop = (!routes.next_hop.is_empty()).then_some(&*routes.next_hop);
    if !routes.undecoded.is_empty() {
        let name = Name { path_id: None, nlri: &routes.undecoded };
        rows.append(Table::OtherEvents, COLUMN_COUNT, &name, |row| {
            row.put_opt_raw(next_hop);
            for _ in ["path_id", "route_distinguisher", "nlri_text", "nlri_json"] {
                row.put_null();
            }
            let nlri = row.len();
            row.put_raw(&routes.undecoded);
            Ok(nlri)
        })?;
    }
    for route in &routes.other {
        let name = Name { path_id: route.path_id, nlri: &key::other(route) };
        rows.append(Table::OtherEvents, COLUMN_COUNT, &name, |row| {
            row.put_opt_raw(next_hop);
            Ok(put(row, route))
        })?;
    }
    Ok(())
}

fn put(row: &mut Vec<u8>, route: &OtherRoute) -> usize {
    row.put_opt_i64(route.path_id.map(i64::from));
    put_distinguisher(row, &route.route_distinguisher);
    row.put_text(&text::other_route(route));
    let structure = route.nlri.as_ref().and_then(structure);
    row.put_opt_json(structure.as_ref().map(json::encode).as_deref());
    let nlri = row.len();
    row.put_raw(&route.raw);
    nlri
}

/// The NLRI as JSON. Its kind is told by the family.
fn structure(nlri: &Nlri) -> Option<Value> {
    let value = match nlri {
        Nlri::FlowSpecification(flow) => serde_json::to_value(flow),
        Nlri::RouteTargetMembership(membership) => serde_json::to_value(membership),
        Nlri::Mvpn(route) => serde_json::to_value(route),
        Nlri::Mdt(route) => serde_json::to_value(route),
        Nlri::Vpls(route) => serde_json::to_value(route),
        Nlri::Mup(route) => serde_json::to_value(route),
        Nlri::SrPolicy(route) => serde_json::to_value(route),
        Nlri::LinkState(nlri) => serde_json::to_value(nlri),
    };
    value.ok()
}
