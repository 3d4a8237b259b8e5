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
    v1::{RouteUpdate, Routes},
};

use super::{
    RowError, Rows, Table, attributes,
    copy::{PutColumn, PutOptional},
    encode::{Envelope, small},
    evpn, json, other, peer, reading, route,
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
            "originator_id, cluster_list, only_to_customer, other_attributes, ",
            "further_attributes) from stdin (format binary)"
        )
    };
}
pub(super) use copy_statement;

/// How many columns a row has besides those of the route itself.
pub(super) const SHARED_COLUMN_COUNT: i16 = 15 + attributes::COLUMN_COUNT;

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
        attributes::put_absent(&mut self.scratch.attributes, &update.tlvs);
        for routes in &update.withdrawn {
            self.append_field(update, routes, b"withdraw")?;
        }
        if let Some(sent) = &update.attributes {
            self.scratch.attributes.clear();
            attributes::put(&mut self.scratch.attributes, sent, &update.tlvs);
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
        let reading = reading::notes(update, routes, action == b"announce");
        field.put_opt_json(reading.as_ref().map(json::encode).as_deref());
        let mut rows = FieldRows {
            rows: &mut *self.rows,
            envelope: self.envelope,
            scratch: &self.scratch,
            ordinal: &mut self.ordinal,
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
    scratch: &'a Scratch,
    ordinal: &'a mut i32,
}

impl FieldRows<'_> {
    /// Appends a row whose own columns, `columns` of them, are what `put` puts.
    pub(super) fn append(
        &mut self,
        table: Table,
        columns: i16,
        put: impl FnOnce(&mut Vec<u8>) -> Result<(), RowError>,
    ) -> Result<(), RowError> {
        let row =
            self.rows.table_mut(table).begin(SHARED_COLUMN_COUNT + columns, self.envelope.peer);
        row.extend_from_slice(&self.scratch.message);
        row.extend_from_slice(&self.scratch.field);
        row.put_i32(*self.ordinal);
        put(row)?;
        row.extend_from_slice(&self.scratch.attributes);
        *self.ordinal += 1;
        Ok(())
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
