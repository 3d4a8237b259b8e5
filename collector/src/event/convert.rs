//! Everything but route updates, as the generated types.

use bytes::Bytes;
use ribstream_proto::{
    family::AfiSafi,
    names::{bgp as bgp_names, bmp as bmp_names, statistic},
    v1,
};

use crate::{
    bgp::{Capability, Notification, Open, RouteRefresh},
    bmp::{PeerDown, PeerUp, StatsReport, Tlv, Tlvs, View, type_of},
};

/// Field numbers of the bodies in `ribstream.v1.Event`.
pub mod body {
    #![allow(missing_docs, reason = "named as in event.proto")]
    pub const PEER_UP: u32 = 17;
    pub const PEER_DOWN: u32 = 18;
    pub const STATS_REPORT: u32 = 19;
    pub const ROUTE_MIRROR: u32 = 20;
    pub const ROUTER_UP: u32 = 21;
    pub const ROUTER_DOWN: u32 = 22;
    pub const HEARTBEAT: u32 = 23;
}

fn bytes(value: &[u8]) -> Bytes {
    Bytes::copy_from_slice(value)
}

fn family(family: AfiSafi) -> v1::Family {
    v1::Family { afi: family.afi.into(), safi: family.safi.into() }
}

fn owned(name: Option<&'static str>) -> String {
    name.unwrap_or_default().to_owned()
}

/// TLVs with their names by the registry of their message.
fn information(
    tlvs: Option<&Tlvs<'_>>,
    name: impl Fn(u16) -> Option<&'static str>,
) -> Vec<v1::InformationTlv> {
    let information = |tlv: Tlv<'_>| v1::InformationTlv {
        r#type: tlv.kind.into(),
        value: bytes(tlv.value),
        name: owned(name(tlv.kind)),
    };
    tlvs.into_iter().flat_map(Tlvs::iter).map(information).collect()
}

/// The text of a TLV, with U+FFFD for what is not UTF-8.
#[must_use]
pub fn text(tlvs: &Tlvs<'_>, kind: u16) -> Option<String> {
    tlvs.first(kind).map(|value| String::from_utf8_lossy(value).into_owned())
}

/// How a Peer Up stands to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Of a BGP session that has begun.
    Anew,
    /// Of the BGP session that is up, for another of the peer's tables.
    ForAnotherTable,
    /// Of the BGP session that is up, once more.
    Again,
}

/// A Peer Up.
#[must_use]
pub fn peer_up(up: &PeerUp<'_>, told: Told) -> v1::PeerUp {
    v1::PeerUp {
        local_address: bytes(up.local_address()),
        local_port: up.local_port.into(),
        remote_port: up.remote_port.into(),
        sent_open: present(&up.sent),
        received_open: present(&up.received),
        information: information(Some(&up.information), bmp_names::peer_up_tlv),
        undecoded: bytes(up.information.rest),
        continues: told == Told::ForAnotherTable,
        repeats: told == Told::Again,
    }
}

fn present(sent: &Open<'_>) -> Option<v1::Open> {
    (!sent.raw.is_empty()).then(|| open(sent))
}

/// An OPEN.
#[must_use]
pub fn open(open: &Open<'_>) -> v1::Open {
    v1::Open {
        version: open.version.into(),
        asn: open.asn(),
        hold_time: open.hold_time.into(),
        bgp_id: bytes(&open.bgp_id),
        capabilities: open.capabilities().map(|c| capability(&c)).collect(),
        raw: bytes(open.raw),
    }
}

fn capability(capability: &Capability<'_>) -> v1::Capability {
    v1::Capability {
        code: capability.code.into(),
        value: bytes(capability.value),
        multiprotocol: capability.multiprotocol().map(family),
        four_octet_asn: capability.four_octet_asn(),
        add_path: capability
            .add_path()
            .map(|(family, mode)| v1::AddPath {
                afi: family.afi.into(),
                safi: family.safi.into(),
                send_receive: mode.0.into(),
            })
            .collect(),
        name: owned(bgp_names::capability(capability.code)),
    }
}

/// That the dumps of these tables are over, where no message shows it.
#[must_use]
pub fn dump_over(view: View, families: &[AfiSafi]) -> v1::RouteUpdate {
    v1::RouteUpdate {
        view: v1::RibView::from(view).into(),
        dump_over: families.iter().copied().map(family).collect(),
        ..v1::RouteUpdate::default()
    }
}

/// A Peer Down.
#[must_use]
pub fn peer_down(down: &PeerDown<'_>) -> v1::PeerDown {
    v1::PeerDown {
        reason: down.reason.into(),
        notification: down.notification.as_ref().map(notification),
        fsm_event: down.fsm_event.map(u32::from),
        fsm_event_name: owned(down.fsm_event.and_then(bgp_names::fsm_event)),
        information: information(down.information.as_ref(), bmp_names::peer_down_tlv),
        data: bytes(down.data),
    }
}

/// A NOTIFICATION, with the one that it carries if it is a Hard Reset.
#[must_use]
pub fn notification(outer: &Notification<'_>) -> v1::Notification {
    let mut notification = alone(outer);
    if let Some(enclosed) = outer.enclosed() {
        let enclosed = alone(&enclosed);
        notification.shutdown_communication.clone_from(&enclosed.shutdown_communication);
        notification.enclosed = Some(Box::new(enclosed));
    }
    notification
}

fn alone(notification: &Notification<'_>) -> v1::Notification {
    let Notification { code, subcode, data } = *notification;
    v1::Notification {
        code: code.into(),
        subcode: subcode.into(),
        data: bytes(data),
        code_name: owned(bgp_names::error_code(code)),
        subcode_name: owned(bgp_names::error_subcode(code, subcode)),
        shutdown_communication: notification
            .shutdown_communication()
            .map(|text| String::from_utf8_lossy(text).into_owned()),
        enclosed: None,
    }
}

/// A ROUTE-REFRESH.
#[must_use]
pub fn route_refresh(refresh: &RouteRefresh<'_>) -> v1::RouteRefresh {
    v1::RouteRefresh {
        afi: refresh.family.afi.into(),
        safi: refresh.family.safi.into(),
        subtype: refresh.subtype.into(),
        filters: bytes(refresh.filters),
    }
}

/// A Statistics Report.
#[must_use]
pub fn stats_report(report: &StatsReport<'_>) -> v1::StatsReport {
    let statistics = report.iter().map(|sent| {
        let known = statistic(sent.kind);
        v1::Statistic {
            r#type: sent.kind.into(),
            value: sent.value,
            family: sent.family.map(family),
            raw: if sent.value.is_some() { Bytes::new() } else { bytes(sent.raw) },
            name: owned(known.map(|known| known.name)),
            unit: owned(known.map(|known| known.unit)),
        }
    });
    v1::StatsReport { statistics: statistics.collect() }
}

/// An Initiation, or `None` for a router that sent none.
#[must_use]
pub fn router_up(tlvs: Option<&Tlvs<'_>>, remote_port: u16) -> v1::RouterUp {
    v1::RouterUp {
        information: information(tlvs, bmp_names::initiation_tlv),
        sys_name: tlvs.and_then(|tlvs| text(tlvs, type_of::SYS_NAME)),
        sys_descr: tlvs.and_then(|tlvs| text(tlvs, type_of::SYS_DESCR)),
        remote_port: remote_port.into(),
    }
}

/// The end of a session; `tlvs` are those of a Termination.
#[must_use]
pub fn router_down(
    reason: v1::RouterDownReason,
    tlvs: Option<&Tlvs<'_>>,
    detail: &str,
) -> v1::RouterDown {
    v1::RouterDown {
        reason: reason.into(),
        information: information(tlvs, bmp_names::termination_tlv),
        detail: detail.to_owned(),
    }
}
