//! EVPN routes as rows of `evpn_events`.

use ribstream_proto::{key, record, text, v1::EvpnRoute};

use super::{
    RowError, Table,
    copy::{PutColumn, PutOptional},
    encode::small,
    route::{put_distinguisher, put_numbers, put_prefix},
    update::{FieldRows, Name, copy_statement},
};

macro_rules! columns {
    () => {
        "route_type, path_id, route_distinguisher, esi, ethernet_tag, mac, ip, prefix, gateway, \
         labels, vnis, originator, source, multicast_group, flags, leave_synchronization, \
         maximum_response_time, region, route_key, nlri_text, nlri"
    };
}
pub(super) use columns;

pub(super) const COPY_EVPN_EVENTS: &str = copy_statement!("evpn_events", columns!());
const COLUMN_COUNT: i16 = 21;

pub(super) fn append(routes: &[EvpnRoute], rows: &mut FieldRows<'_>) -> Result<(), RowError> {
    for route in routes {
        let name = Name { path_id: route.path_id, nlri: &key::evpn(route) };
        rows.append(Table::EvpnEvents, COLUMN_COUNT, &name, |row| put(row, route))?;
    }
    Ok(())
}

fn put(row: &mut Vec<u8>, route: &EvpnRoute) -> Result<usize, RowError> {
    row.put_i32(small("EVPN route type", route.route_type)?);
    row.put_opt_i64(route.path_id.map(i64::from));
    put_distinguisher(row, &route.route_distinguisher);
    if route.esi.is_empty() {
        row.put_null();
    } else {
        row.put_text(&text::colons(&route.esi));
    }
    row.put_opt_i64(route.ethernet_tag.map(i64::from));
    row.put_opt_mac(route.mac.as_ref().try_into().ok());
    row.put_opt_inet(record::ip(&route.ip));
    match &route.prefix {
        Some(prefix) => put_prefix(row, prefix)?,
        None => row.put_null(),
    }
    row.put_opt_inet(record::ip(&route.gateway));
    put_numbers(row, "label", &route.labels)?;
    put_numbers(row, "VNI", &route.vnis)?;
    row.put_opt_inet(record::ip(&route.originator));
    row.put_opt_inet(record::ip(&route.source));
    row.put_opt_inet(record::ip(&route.group));
    row.put_opt_i32(route.flags.map(|flags| small("flags", flags)).transpose()?);
    row.put_opt_i64(route.leave_synchronization.map(i64::from));
    row.put_opt_i64(route.maximum_response_time.map(i64::from));
    for octets in [&route.region, &route.route_key] {
        row.put_opt_raw((!octets.is_empty()).then_some(octets));
    }
    row.put_text(&text::evpn_route(route));
    let nlri = row.len();
    row.put_raw(&route.raw);
    Ok(nlri)
}
