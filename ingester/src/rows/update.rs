//! Route Monitoring as rows: what all tables of routes share.
//!
//! ```text
//!  RouteUpdate ──┬─► Routes.prefixes           route.rs   route_events
//!                ├─► Routes.evpn               evpn.rs    evpn_events
//!                ├─► Routes.other, undecoded   other.rs   other_events
//!                └─► end_of_rib                peer.rs    peer_events
//! ```
//!
//! The routes of an UPDATE share their attributes: those columns are written
//! once and copied behind each route.

use ribstream_proto::{
    record,
    v1::{Family, RouteUpdate, Routes},
};

use super::{
    RibTable, RouteStep, RowError, Rows, Step, Table, attributes,
    copy::{PutColumn, PutOptional},
    encode::{Envelope, small},
    evpn, json, other, peer, reading, route,
    step::{SignatureWriter, next_column, put_key},
};

/// Columns in the order in which a row is put together: message, NLRI field, route, attributes.
macro_rules! copy_statement {
    ($table:literal, $($route:tt)+) => {
        concat!(
            "copy ",
            $table,
            " (peer_id, action, ",
            crate::rows::update::message_columns!(),
            ", ",
            $($route)+,
            ", ",
            crate::rows::update::attribute_columns!(),
            ", change, changed, replaced) from stdin (format binary)"
        )
    };
}
macro_rules! message_columns {
    () => {
        "time, router_time, session, sequence, view, initial_dump, attribute_errors, afi, safi, \
         next_hop, link_local_next_hop, reading, ordinal"
    };
}
macro_rules! attribute_columns {
    () => {
        "origin, as_path, origin_as, med, local_pref, atomic_aggregate, aggregator_asn, \
         aggregator_address, communities, extended_communities, large_communities, \
         originator_id, cluster_list, only_to_customer, other_attributes, further_attributes"
    };
}
pub(super) use {attribute_columns, copy_statement, message_columns};

/// The columns of a row of each current table that it shares with its history, in order,
/// behind `peer_id` and `action`.
pub(crate) const ROUTE_COLUMNS: [&str; 3] = [
    concat!(message_columns!(), ", ", route::columns!(), ", ", attribute_columns!()),
    concat!(message_columns!(), ", ", evpn::columns!(), ", ", attribute_columns!()),
    concat!(message_columns!(), ", ", other::columns!(), ", ", attribute_columns!()),
];

/// `change`, `changed` and `replaced`, which are appended when the row is written.
pub(crate) const TAIL_COLUMNS: i16 = 3;

/// How many columns a row has besides those of the route itself.
pub(super) const SHARED_COLUMN_COUNT: i16 = 15 + attributes::COLUMN_COUNT + TAIL_COLUMNS;

/// Columns that several rows share, and signatures of their parts.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    message: Vec<u8>,
    field: Vec<u8>,
    attributes: Vec<u8>,
    key: Vec<u8>,
    signature: Vec<u8>,
    route_parts: SignatureWriter,
    attribute_parts: SignatureWriter,
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
        attributes::put_absent(&mut self.scratch.attributes, &update.tlvs);
        for routes in &update.withdrawn {
            self.append_field(update, routes, Action::Withdraw)?;
        }
        if let Some(sent) = &update.attributes {
            self.scratch.attributes.clear();
            attributes::put(&mut self.scratch.attributes, sent, &update.tlvs);
        }
        sign_attributes(&self.scratch.attributes, &mut self.scratch.attribute_parts);
        for routes in &update.announced {
            self.append_field(update, routes, Action::Announce)?;
        }
        for family in &update.end_of_rib {
            peer::append_end_of_rib(self.envelope, view, *family, self.ordinal, self.rows)?;
            self.ordinal += 1;
        }
        for family in &update.dump_over {
            self.rows.steps.push(Step::DumpOver(RibTable::new(view, *family)?));
        }
        Ok(())
    }

    /// The routes of one NLRI field.
    fn append_field(
        &mut self,
        update: &RouteUpdate,
        routes: &Routes,
        action: Action,
    ) -> Result<(), RowError> {
        let view = small("view", update.view)?;
        let rib = RibTable::new(view, Family { afi: routes.afi, safi: routes.safi })?;
        let field = &mut self.scratch.field;
        field.clear();
        field.put_i32(rib.afi);
        field.put_i16(rib.safi);
        let next_hops = field.len();
        field.put_opt_inet(record::ip(&routes.next_hop));
        field.put_opt_inet(record::ip(&routes.link_local_next_hop));
        self.scratch.route_parts.clear();
        self.scratch.route_parts.add(NEXT_HOP, &field[next_hops..]);
        let reading = reading::notes(update, routes, action == Action::Announce);
        field.put_opt_json(reading.as_ref().map(json::encode).as_deref());
        let mut rows = FieldRows {
            rows: &mut *self.rows,
            envelope: self.envelope,
            scratch: &mut self.scratch,
            ordinal: &mut self.ordinal,
            action,
            rib,
        };
        route::append(&routes.prefixes, &mut rows)?;
        evpn::append(&routes.evpn, &mut rows)?;
        other::append(routes, &mut rows)
    }
}

/// The rows of one NLRI field.
pub(super) struct FieldRows<'a> {
    rows: &'a mut Rows,
    envelope: Envelope,
    scratch: &'a mut Scratch,
    ordinal: &'a mut i32,
    action: Action,
    rib: RibTable,
}

/// What an NLRI field does with its routes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Announce,
    Withdraw,
}

/// What a row is about.
pub(super) struct Name<'a> {
    pub(super) path_id: Option<u32>,
    /// What tells its NLRI from others.
    pub(super) nlri: &'a [u8],
}

const NEXT_HOP: u32 = 0;
const NLRI: u32 = 1;

impl FieldRows<'_> {
    /// Appends a row whose own columns, `columns` of them, are what `put` puts. It
    /// answers where, among them, those begin that may change while the route stays
    /// the same.
    pub(super) fn append(
        &mut self,
        table: Table,
        columns: i16,
        name: &Name<'_>,
        put: impl FnOnce(&mut Vec<u8>) -> Result<usize, RowError>,
    ) -> Result<(), RowError> {
        let scratch = &mut *self.scratch;
        let rows = self.rows.table_mut(table);
        let number = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let row = rows.begin(SHARED_COLUMN_COUNT + columns, self.envelope.peer);
        row.put_raw(match self.action {
            Action::Announce => b"announce",
            Action::Withdraw => b"withdraw",
        });
        row.extend_from_slice(&scratch.message);
        row.extend_from_slice(&scratch.field);
        row.put_i32(*self.ordinal);
        let varies = put(row)?;
        put_key(&mut scratch.key, self.rib, name.path_id, name.nlri);
        scratch.signature.clear();
        if self.action == Action::Announce {
            let mut parts = scratch.route_parts.clone();
            parts.add(NLRI, &row[varies..]);
            scratch.attribute_parts.put(&parts, &mut scratch.signature);
        }
        row.extend_from_slice(&scratch.attributes);
        let route = RouteStep {
            table,
            row: number,
            withdraw: self.action == Action::Withdraw,
            rib: self.rib,
            key: self.rows.steps.push_octets(&scratch.key),
            signature: self.rows.steps.push_octets(&scratch.signature),
        };
        self.rows.steps.push(Step::Route(route));
        *self.ordinal += 1;
        Ok(())
    }
}

/// Digests of the attributes' columns, as [`super::PARTS`] numbers them.
fn sign_attributes(columns: &[u8], parts: &mut SignatureWriter) {
    const ORIGIN: u32 = 2;
    const AS_PATH: u32 = 3;
    const AGGREGATOR: u32 = 7;
    parts.clear();
    let mut rest = columns;
    for bit in ORIGIN..16 {
        let before = rest;
        let mut column = next_column(&mut rest).len();
        if matches!(bit, AS_PATH | AGGREGATOR) {
            // origin_as follows as_path, aggregator_address aggregator_asn.
            column += next_column(&mut rest).len();
        }
        parts.add(bit, &before[..column]);
    }
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
    row.put_opt_json(errors.as_ref().map(json::encode).as_deref());
}
