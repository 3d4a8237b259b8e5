//! Everything but route updates, as the generated types.

use bytes::Bytes;
use ribstream_proto::{family::AfiSafi, v1};

use crate::{
    bgp::{Capability, Notification, Open},
    bmp::{PeerDown, PeerUp, StatsReport, Tlv, Tlvs, type_of},
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

fn information(tlv: Tlv<'_>) -> v1::InformationTlv {
    v1::InformationTlv { r#type: tlv.kind.into(), value: bytes(tlv.value), name: String::new() }
}

/// The text of a TLV, with U+FFFD for what is not UTF-8.
#[must_use]
pub fn text(tlvs: &Tlvs<'_>, kind: u16) -> Option<String> {
    tlvs.first(kind).map(|value| String::from_utf8_lossy(value).into_owned())
}

/// A Peer Up.
#[must_use]
pub fn peer_up(up: &PeerUp<'_>) -> v1::PeerUp {
    v1::PeerUp {
        local_address: bytes(up.local_address()),
        local_port: up.local_port.into(),
        remote_port: up.remote_port.into(),
        sent_open: Some(open(&up.sent)),
        received_open: Some(open(&up.received)),
        information: up.information.iter().map(information).collect(),
    }
}

fn open(open: &Open<'_>) -> v1::Open {
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
    }
}

/// A Peer Down.
#[must_use]
pub fn peer_down(down: &PeerDown<'_>) -> v1::PeerDown {
    v1::PeerDown {
        reason: down.reason.into(),
        notification: down.notification.as_ref().map(notification),
        fsm_event: down.fsm_event.map(u32::from),
        information: down.information.iter().flat_map(Tlvs::iter).map(information).collect(),
        data: bytes(down.data),
        ..v1::PeerDown::default()
    }
}

fn notification(notification: &Notification<'_>) -> v1::Notification {
    v1::Notification {
        code: notification.code.into(),
        subcode: notification.subcode.into(),
        data: bytes(notification.data),
        ..v1::Notification::default()
    }
}

/// A Statistics Report.
#[must_use]
pub fn stats_report(report: &StatsReport<'_>) -> v1::StatsReport {
    let statistics = report.iter().map(|statistic| v1::Statistic {
        r#type: statistic.kind.into(),
        value: statistic.value,
        family: statistic.family.map(family),
        raw: if statistic.value.is_some() { Bytes::new() } else { bytes(statistic.raw) },
        ..v1::Statistic::default()
    });
    v1::StatsReport { statistics: statistics.collect() }
}

/// A Route Mirroring message.
#[must_use]
pub fn route_mirror(tlvs: &Tlvs<'_>) -> v1::RouteMirror {
    let tlvs = tlvs.iter().map(|tlv| v1::MirroredTlv {
        r#type: tlv.kind.into(),
        value: bytes(tlv.value),
        ..v1::MirroredTlv::default()
    });
    v1::RouteMirror { tlvs: tlvs.collect() }
}

/// An Initiation, or `None` for a router that sent none.
#[must_use]
pub fn router_up(tlvs: Option<&Tlvs<'_>>, remote_port: u16) -> v1::RouterUp {
    v1::RouterUp {
        information: tlvs.into_iter().flat_map(Tlvs::iter).map(information).collect(),
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
        information: tlvs.into_iter().flat_map(Tlvs::iter).map(information).collect(),
        detail: detail.to_owned(),
    }
}
