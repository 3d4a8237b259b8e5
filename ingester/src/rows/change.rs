//! What events say about the state of sessions.

use std::net::IpAddr;

use ribstream_proto::v1;
use serde_json::Value;

/// What one or several events say about a BMP session. Absent: nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionChange {
    /// The session's name.
    pub session: i64,
    /// The partition of the events topic that its events are in.
    pub partition: i32,
    /// The collector's name.
    pub collector: String,
    /// Where the session came from.
    pub address: Option<IpAddr>,
    /// Receive time of the first of the events, in microseconds since 1970.
    pub first_heard: i64,
    /// When the latest came into the topic.
    pub heard: i64,
    /// The port that the session came from.
    pub remote_port: Option<i32>,
    /// sysName of the Initiation.
    pub sys_name: Option<String>,
    /// sysDescr of the Initiation.
    pub sys_descr: Option<String>,
    /// TLVs of the Initiation.
    pub information: Option<Value>,
    /// Messages so far.
    pub messages: Option<i64>,
    /// Octets so far.
    pub octets: Option<i64>,
    /// Peers up.
    pub peers: Option<i32>,
    /// When it ended.
    pub ended: Option<i64>,
    /// Why.
    pub end_reason: Option<i16>,
    /// Why, in the collector's words.
    pub end_detail: Option<String>,
    /// TLVs of the Termination.
    pub end_information: Option<Value>,
}

impl SessionChange {
    /// Puts a later change of the same session over this one.
    pub fn merge(&mut self, later: &Self) {
        fn over<T: Clone>(earlier: &mut Option<T>, later: Option<&T>) {
            if let Some(later) = later {
                *earlier = Some(later.clone());
            }
        }
        self.partition = later.partition;
        self.collector.clone_from(&later.collector);
        self.first_heard = self.first_heard.min(later.first_heard);
        self.heard = self.heard.max(later.heard);
        over(&mut self.address, later.address.as_ref());
        over(&mut self.remote_port, later.remote_port.as_ref());
        over(&mut self.sys_name, later.sys_name.as_ref());
        over(&mut self.sys_descr, later.sys_descr.as_ref());
        over(&mut self.information, later.information.as_ref());
        over(&mut self.messages, later.messages.as_ref());
        over(&mut self.octets, later.octets.as_ref());
        over(&mut self.peers, later.peers.as_ref());
        over(&mut self.ended, later.ended.as_ref());
        over(&mut self.end_reason, later.end_reason.as_ref());
        over(&mut self.end_detail, later.end_detail.as_ref());
        over(&mut self.end_information, later.end_information.as_ref());
    }
}

/// Information TLVs as JSON, `None` where there are none.
pub(super) fn information(tlvs: &[v1::InformationTlv]) -> Option<Value> {
    if tlvs.is_empty() {
        return None;
    }
    serde_json::to_value(tlvs).ok()
}
