//! Peer Up, Peer Down, End-of-RIB, statistics and mirrored messages as rows.

use std::net::IpAddr;

use ribstream_proto::{
    record,
    v1::{
        BgpMessage, Family, Notification, Open, Peer, PeerDown, PeerDownReason, PeerUp,
        RouteMirror, StatsReport,
    },
};
use serde_json::Value;

use super::{
    PeerSays, RowError, Rows, Step, Table, Told,
    change::information,
    copy::{PutColumn, PutOptional},
    encode::{Envelope, nonzero, small},
    json,
};

pub(super) const COPY_PEER_EVENTS: &str = "copy peer_events (peer_id, time, router_time, session, \
    sequence, ordinal, kind, view, afi, safi, asn, bgp_id, flags, reason, notification_code, \
    notification_subcode, notification_data, shutdown_communication, notification_enclosed, \
    fsm_event, local_address, local_port, remote_port, sent_open, sent_open_raw, received_open, received_open_raw, information, data) \
    from stdin (format binary)";
const PEER_EVENTS_COLUMNS: i16 = 29;

pub(super) const COPY_STATS_REPORTS: &str = "copy stats_reports (peer_id, time, router_time, \
    session, sequence, ordinal, type, afi, safi, value, raw) from stdin (format binary)";
const STATS_REPORTS_COLUMNS: i16 = 11;

pub(super) const COPY_MIRRORED_MESSAGES: &str = "copy mirrored_messages (peer_id, time, \
    router_time, session, sequence, ordinal, type, value, message_type, decoded, information) \
    from stdin (format binary)";
const MIRRORED_MESSAGES_COLUMNS: i16 = 11;

/// The AS number of a Per-Peer Header, which routers leave zero where they do not know it.
pub(crate) fn header_asn(peer: &Peer) -> Option<i64> {
    (peer.asn != 0).then(|| i64::from(peer.asn))
}

/// The BGP Identifier of a Per-Peer Header, which routers leave zero where they do not know it.
pub(crate) fn header_bgp_id(peer: &Peer) -> Option<IpAddr> {
    record::ip(&peer.bgp_id).filter(|id| !id.is_unspecified())
}

fn begin(
    rows: &mut Rows,
    table: Table,
    columns: i16,
    envelope: Envelope,
    ordinal: i32,
) -> &mut Vec<u8> {
    let row = rows.table_mut(table).begin(columns, envelope.peer);
    row.put_time(envelope.time);
    row.put_opt_time(envelope.router_time);
    row.put_i64(envelope.session);
    row.put_i64(envelope.sequence);
    row.put_i32(ordinal);
    row
}

fn put_header(row: &mut Vec<u8>, kind: &[u8], peer: &Peer) -> Result<(), RowError> {
    row.put_raw(kind);
    for _ in ["view", "afi", "safi"] {
        row.put_null();
    }
    row.put_opt_i64(header_asn(peer));
    row.put_opt_inet(header_bgp_id(peer));
    row.put_i16(small("flags", peer.flags)?);
    Ok(())
}

/// The ordinal of what is said after a message, and bears its number: behind all
/// rows that the message itself may have brought.
const BEHIND_MESSAGE: i32 = i32::MAX;

pub(super) fn append_up(
    envelope: Envelope,
    peer: &Peer,
    up: &PeerUp,
    rows: &mut Rows,
) -> Result<(), RowError> {
    let told = match (up.continues, up.repeats) {
        (true, _) => Told::ForAnotherTable,
        (false, true) => Told::Again,
        (false, false) => Told::Anew,
    };
    rows.steps.push(Step::Up(says(peer), told));
    let row = begin(rows, Table::PeerEvents, PEER_EVENTS_COLUMNS, envelope, 0);
    put_header(row, b"up", peer)?;
    row.put_null();
    put_notification(row, None)?;
    row.put_null();
    row.put_opt_inet(record::ip(&up.local_address).filter(|address| !address.is_unspecified()));
    row.put_opt_i32(nonzero(up.local_port));
    row.put_opt_i32(nonzero(up.remote_port));
    for open in [&up.sent_open, &up.received_open] {
        row.put_opt_json(open.as_ref().and_then(open_json).as_deref());
        row.put_opt_raw(open.as_ref().map(|open| &*open.raw));
    }
    put_information(row, information(&up.information).as_ref());
    row.put_opt_raw((!up.undecoded.is_empty()).then_some(&*up.undecoded));
    Ok(())
}

pub(super) fn append_down(
    envelope: Envelope,
    peer: &Peer,
    down: &PeerDown,
    rows: &mut Rows,
) -> Result<(), RowError> {
    rows.steps.push(Step::Down(says(peer), down.reason));
    // The collector's own word bears the number of the last message received.
    let ordinal =
        if down.reason == PeerDownReason::SessionLost as i32 { BEHIND_MESSAGE } else { 0 };
    let row = begin(rows, Table::PeerEvents, PEER_EVENTS_COLUMNS, envelope, ordinal);
    put_header(row, b"down", peer)?;
    row.put_i32(down.reason);
    put_notification(row, down.notification.as_ref())?;
    row.put_opt_i32(down.fsm_event.map(|event| small("fsm_event", event)).transpose()?);
    for _ in ["address", "local port", "remote port", "sent", "raw", "received", "raw"] {
        row.put_null();
    }
    put_information(row, information(&down.information).as_ref());
    row.put_opt_raw((!down.data.is_empty()).then_some(&*down.data));
    Ok(())
}

pub(super) fn append_end_of_rib(
    envelope: Envelope,
    view: i16,
    family: Family,
    ordinal: i32,
    rows: &mut Rows,
) -> Result<(), RowError> {
    let row = begin(rows, Table::PeerEvents, PEER_EVENTS_COLUMNS, envelope, ordinal);
    row.put_raw(b"end-of-rib");
    row.put_i16(view);
    row.put_i32(small("afi", family.afi)?);
    row.put_i16(small("safi", family.safi)?);
    for _ in 10..PEER_EVENTS_COLUMNS {
        row.put_null();
    }
    Ok(())
}

pub(super) fn append_statistics(
    envelope: Envelope,
    report: &StatsReport,
    rows: &mut Rows,
) -> Result<(), RowError> {
    for (statistic, ordinal) in report.statistics.iter().zip(0..) {
        let row = begin(rows, Table::StatsReports, STATS_REPORTS_COLUMNS, envelope, ordinal);
        row.put_i32(small("statistic type", statistic.r#type)?);
        let family = statistic.family.as_ref();
        row.put_opt_i32(family.map(|family| small("afi", family.afi)).transpose()?);
        row.put_opt_i16(family.map(|family| small("safi", family.safi)).transpose()?);
        match statistic.value.map(|value| (value, i64::try_from(value))) {
            Some((_, Ok(value))) => {
                row.put_i64(value);
                row.put_null();
            }
            Some((value, Err(_))) => {
                row.put_null();
                row.put_raw(&value.to_be_bytes());
            }
            None => {
                row.put_null();
                row.put_raw(&statistic.raw);
            }
        }
    }
    Ok(())
}

pub(super) fn append_mirrored(
    envelope: Envelope,
    mirror: &RouteMirror,
    rows: &mut Rows,
) -> Result<(), RowError> {
    for (tlv, ordinal) in mirror.tlvs.iter().zip(0..) {
        let row =
            begin(rows, Table::MirroredMessages, MIRRORED_MESSAGES_COLUMNS, envelope, ordinal);
        row.put_i32(small("mirrored TLV type", tlv.r#type)?);
        row.put_raw(&tlv.value);
        let message = tlv.message.as_ref();
        row.put_opt_i16(message.map(|message| small("message type", message.r#type)).transpose()?);
        row.put_opt_json(message.and_then(message_json).as_deref());
        let information = tlv.information;
        row.put_opt_i32(information.map(|code| small("information code", code)).transpose()?);
    }
    Ok(())
}

fn says(peer: &Peer) -> PeerSays {
    PeerSays { asn: header_asn(peer), bgp_id: header_bgp_id(peer) }
}

/// Code, subcode, data, shutdown communication, and the NOTIFICATION inside of a Hard Reset.
fn put_notification(
    row: &mut Vec<u8>,
    notification: Option<&Notification>,
) -> Result<(), RowError> {
    let Some(notification) = notification else {
        for _ in ["code", "subcode", "data", "shutdown_communication", "enclosed"] {
            row.put_null();
        }
        return Ok(());
    };
    row.put_i16(small("notification code", notification.code)?);
    row.put_i16(small("notification subcode", notification.subcode)?);
    row.put_raw(&notification.data);
    row.put_opt_text(notification.shutdown_communication.as_deref());
    let enclosed = notification.enclosed.as_deref();
    let enclosed = enclosed.and_then(|enclosed| serde_json::to_value(enclosed).ok());
    row.put_opt_json(enclosed.as_ref().map(json::encode).as_deref());
    Ok(())
}

/// A mirrored message as JSON. An OPEN is without its bytes, which are those of the row.
fn message_json(message: &BgpMessage) -> Option<Vec<u8>> {
    let mut value = serde_json::to_value(message).ok()?;
    if let Some(open) = value.get_mut("open").and_then(Value::as_object_mut) {
        open.remove("raw");
    }
    Some(json::encode(&value))
}

/// An OPEN as JSON, without its bytes, which have a column of their own.
fn open_json(open: &Open) -> Option<Vec<u8>> {
    let mut value = serde_json::to_value(open).ok()?;
    value.as_object_mut()?.remove("raw");
    Some(json::encode(&value))
}

fn put_information(row: &mut Vec<u8>, information: Option<&Value>) {
    row.put_opt_json(information.map(json::encode).as_deref());
}
