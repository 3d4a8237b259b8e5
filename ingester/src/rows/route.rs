//! Prefixes as rows of `route_events`.

use ribstream_proto::{
    key, record,
    v1::{Prefix, PrefixRoute},
};

use super::{
    RowError, Table,
    copy::{PutColumn, PutOptional},
    encode::small,
    update::{FieldRows, Name, copy_statement},
};

macro_rules! columns {
    () => {
        "prefix, path_id, route_distinguisher, labels"
    };
}
pub(super) use columns;

pub(super) const COPY_ROUTE_EVENTS: &str = copy_statement!("route_events", columns!());
const COLUMN_COUNT: i16 = 4;

pub(super) fn append(routes: &[PrefixRoute], rows: &mut FieldRows<'_>) -> Result<(), RowError> {
    for route in routes {
        let name = Name { path_id: route.path_id, nlri: &key::prefix(route) };
        rows.append(Table::RouteEvents, COLUMN_COUNT, &name, |row| {
            let prefix = route.prefix.as_ref();
            put_prefix(row, prefix.ok_or(RowError::Prefix { octets: 0, length: 0 })?)?;
            row.put_opt_i64(route.path_id.map(i64::from));
            put_distinguisher(row, &route.route_distinguisher);
            let labels = row.len();
            put_numbers(row, "label", &route.labels)?;
            Ok(labels)
        })?;
    }
    Ok(())
}

/// `cidr` refuses a prefix with bits set past its length; the contract says there are none.
pub(super) fn put_prefix(row: &mut Vec<u8>, prefix: &Prefix) -> Result<(), RowError> {
    let octets = prefix.address.len();
    match (octets, u8::try_from(prefix.length)) {
        (4, Ok(length @ 0..=32)) | (16, Ok(length @ 0..=128)) => {
            row.put_cidr(&prefix.address, length);
            Ok(())
        }
        _ => Err(RowError::Prefix { octets, length: prefix.length }),
    }
}

/// Null where there is none.
pub(super) fn put_distinguisher(row: &mut Vec<u8>, distinguisher: &[u8]) {
    if distinguisher.is_empty() {
        row.put_null();
    } else {
        row.put_text(&record::distinguisher_text(distinguisher));
    }
}

/// `integer[]`, null where there are none: most routes have no labels.
pub(super) fn put_numbers(
    row: &mut Vec<u8>,
    field: &'static str,
    numbers: &[u32],
) -> Result<(), RowError> {
    if numbers.is_empty() {
        row.put_null();
        return Ok(());
    }
    let numbers: Result<Vec<i32>, _> = numbers.iter().map(|number| small(field, *number)).collect();
    row.put_i32_array(&numbers?);
    Ok(())
}
