//! Route Monitoring as rows of `route_events` and `other_events`.
//!
//! The routes of an UPDATE share their attributes: those columns are written
//! once and copied behind each route.

use std::fmt::Write;

use ribstream_proto::{
    record,
    v1::{Overruled, PrefixRoute, RouteUpdate, Routes},
};
use serde_json::{Map, Value, json};

use super::{
    RowError, Rows, Table, TableRows, attributes,
    copy::{PutColumn, PutOptional},
    encode::Envelope,
    json as jsonb, peer,
};

/// Columns in the order in which a row is put together: message, NLRI field, route, attributes.
macro_rules! copy_statement {
    ($table:literal, $route:literal) => {
        concat!(
            "copy ",
            $table,
            " (peer_id, time, router_time, session, sequence, view, initial_dump, ",
            "attribute_errors, afi, safi, action, next_hop, link_local_next_hop, reading, ordinal, ",
            $route,
            ", origin, as_path, origin_as, med, local_pref, atomic_aggregate, aggregator_asn, ",
            "aggregator_address, communities, extended_communities, large_communities, ",
            "originator_id, cluster_list, only_to_customer, other_attributes) ",
            "from stdin (format binary)"
        )
    };
}

pub(super) const COPY_ROUTE_EVENTS: &str =
    copy_statement!("route_events", "prefix, path_id, route_distinguisher, labels");
pub(super) const COPY_OTHER_EVENTS: &str = copy_statement!("other_events", "nlri, next_hop_raw");

/// Before the route 15, of the route 4 or 2.
const ROUTE_COLUMN_COUNT: i16 = 15 + 4 + attributes::COLUMN_COUNT;
const OTHER_COLUMN_COUNT: i16 = 15 + 2 + attributes::COLUMN_COUNT;

/// Columns that several rows share.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    message: Vec<u8>,
    field: Vec<u8>,
    attributes: Vec<u8>,
}

/// The rows of one Route Monitoring message.
pub(super) struct UpdateRows<'a> {
    envelope: Envelope,
    rows: &'a mut Rows,
    scratch: Scratch,
    ordinal: i32,
}

impl<'a> UpdateRows<'a> {
    pub(super) fn new(envelope: Envelope, rows: &'a mut Rows) -> Self {
        let scratch = std::mem::take(&mut rows.scratch);
        Self { envelope, rows, scratch, ordinal: 0 }
    }

    pub(super) fn append(mut self, update: &RouteUpdate) -> Result<(), RowError> {
        let mut result = self.append_one(update);
        for more in &update.more {
            result = result.and_then(|()| self.append_one(more));
        }
        self.rows.scratch = self.scratch;
        result
    }

    fn append_one(&mut self, update: &RouteUpdate) -> Result<(), RowError> {
        let view = small("view", update.view)?;
        self.scratch.message.clear();
        put_message(&mut self.scratch.message, self.envelope, view, update);
        self.scratch.attributes.clear();
        attributes::put_absent(&mut self.scratch.attributes);
        for routes in &update.withdrawn {
            self.append_field(update, routes, b"withdraw")?;
        }
        if let Some(sent) = &update.attributes {
            self.scratch.attributes.clear();
            attributes::put(&mut self.scratch.attributes, sent);
        }
        for routes in &update.announced {
            self.append_field(update, routes, b"announce")?;
        }
        for family in &update.end_of_rib {
            peer::append_end_of_rib(self.envelope, view, *family, self.ordinal, self.rows)?;
            self.ordinal += 1;
        }
        Ok(())
    }

    /// The routes of one NLRI field.
    fn append_field(
        &mut self,
        update: &RouteUpdate,
        routes: &Routes,
        action: &[u8],
    ) -> Result<(), RowError> {
        let field = &mut self.scratch.field;
        field.clear();
        field.put_i32(small("afi", routes.afi)?);
        field.put_i16(small("safi", routes.safi)?);
        field.put_raw(action);
        field.put_opt_inet(record::ip(&routes.next_hop));
        field.put_opt_inet(record::ip(&routes.link_local_next_hop));
        let reading = reading(update, routes, action == b"announce");
        field.put_opt_json(reading.as_ref().map(jsonb::encode).as_deref());
        if !routes.undecoded.is_empty() {
            let table = self.rows.table_mut(Table::OtherEvents);
            let row = begin(table, OTHER_COLUMN_COUNT, self.envelope, &self.scratch, self.ordinal);
            row.put_raw(&routes.undecoded);
            row.put_opt_raw((!routes.next_hop.is_empty()).then_some(&*routes.next_hop));
            row.extend_from_slice(&self.scratch.attributes);
            self.ordinal += 1;
        }
        let table = self.rows.table_mut(Table::RouteEvents);
        for route in &routes.prefixes {
            let row = begin(table, ROUTE_COLUMN_COUNT, self.envelope, &self.scratch, self.ordinal);
            put_prefix(row, route)?;
            row.put_opt_i64(route.path_id.map(i64::from));
            put_distinguisher_and_labels(row, route)?;
            row.extend_from_slice(&self.scratch.attributes);
            self.ordinal += 1;
        }
        Ok(())
    }
}

fn begin<'a>(
    table: &'a mut TableRows,
    columns: i16,
    envelope: Envelope,
    scratch: &Scratch,
    ordinal: i32,
) -> &'a mut Vec<u8> {
    let row = table.begin(columns, envelope.peer);
    row.extend_from_slice(&scratch.message);
    row.extend_from_slice(&scratch.field);
    row.put_i32(ordinal);
    row
}

fn put_message(row: &mut Vec<u8>, envelope: Envelope, view: i16, update: &RouteUpdate) {
    row.put_time(envelope.time);
    row.put_opt_time(envelope.router_time);
    row.put_i64(envelope.session);
    row.put_i64(envelope.sequence);
    row.put_i16(view);
    row.put_bool(update.initial_dump);
    let errors = (!update.attribute_errors.is_empty())
        .then(|| serde_json::to_value(&update.attribute_errors).ok())
        .flatten();
    row.put_opt_json(errors.as_ref().map(jsonb::encode).as_deref());
}

/// `cidr` refuses a prefix with bits set past its length; the contract says there are none.
fn put_prefix(row: &mut Vec<u8>, route: &PrefixRoute) -> Result<(), RowError> {
    let Some(prefix) = &route.prefix else {
        return Err(RowError::Prefix { octets: 0, length: 0 });
    };
    let octets = prefix.address.len();
    let bad = RowError::Prefix { octets, length: prefix.length };
    match (octets, u8::try_from(prefix.length)) {
        (4, Ok(length @ 0..=32)) | (16, Ok(length @ 0..=128)) => {
            row.put_cidr(&prefix.address, length);
            Ok(())
        }
        _ => Err(bad),
    }
}

/// Most routes have neither.
fn put_distinguisher_and_labels(row: &mut Vec<u8>, route: &PrefixRoute) -> Result<(), RowError> {
    if route.route_distinguisher.is_empty() {
        row.put_null();
    } else {
        row.put_text(&record::distinguisher_text(&route.route_distinguisher));
    }
    if route.labels.is_empty() {
        row.put_null();
    } else {
        let labels: Result<Vec<i32>, _> =
            route.labels.iter().map(|label| small("label", *label)).collect();
        row.put_i32_array(&labels?);
    }
    Ok(())
}

/// What is unusual in how the routes were read, `None` where nothing is.
fn reading(update: &RouteUpdate, routes: &Routes, announced: bool) -> Option<Value> {
    let mut notes = Map::new();
    if !update.overruled.is_empty() {
        let names: Vec<Value> = update.overruled.iter().map(|value| overruled(*value)).collect();
        notes.insert("overruled".to_owned(), names.into());
    }
    if update.asn_width == 2 {
        notes.insert("asn_width".to_owned(), 2.into());
    }
    if update.filtered {
        notes.insert("filtered".to_owned(), true.into());
    }
    if !matches!(routes.next_hop.len(), 0 | 4 | 16) {
        notes.insert("next_hop_raw".to_owned(), hex(&routes.next_hop).into());
    }
    if let Some(attributes) = update.attributes.as_ref().filter(|_| announced) {
        if let Some(path) = &attributes.as4_path {
            let mut text = Vec::new();
            attributes::put_as_path(&mut text, path);
            notes.insert("as4_path".to_owned(), String::from_utf8_lossy(&text).into());
        }
        if let Some(aggregator) = &attributes.as4_aggregator {
            notes.insert("as4_aggregator".to_owned(), json!(aggregator));
        }
        if let Some(next_hop) = attributes.next_hop.as_ref().filter(|hop| **hop != routes.next_hop)
        {
            let text = record::ip(next_hop).map_or_else(|| hex(next_hop), |hop| hop.to_string());
            notes.insert("next_hop".to_owned(), text.into());
        }
    }
    (!notes.is_empty()).then_some(Value::Object(notes))
}

fn overruled(value: i32) -> Value {
    Overruled::try_from(value).map_or_else(
        |_| value.into(),
        |known| {
            let name = known.as_str_name();
            let name = name.strip_prefix("OVERRULED_").unwrap_or(name);
            name.to_ascii_lowercase().replace('_', "-").into()
        },
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A number that its column can hold.
pub(super) fn small<T, U>(field: &'static str, value: T) -> Result<U, RowError>
where
    T: Copy + Into<i64>,
    U: TryFrom<T>,
{
    U::try_from(value)
        .map_err(|_| RowError::OutOfRange { field, value: value.into().unsigned_abs() })
}

/// A number that is zero where it is not known.
pub(super) fn nonzero(value: u32) -> Option<i32> {
    i32::try_from(value).ok().filter(|value| *value != 0)
}
