//! Peer Down Notification (RFC 7854, 4.9; RFC 9069, 5.3).

use crate::{
    bgp::{self, Notification},
    frame::VERSION_4,
    wire::{Malformed, Reader},
};

use super::tlv::Tlvs;

/// A Peer Down, after its Per-Peer Header: a reason, and what it brings.
#[derive(Clone, Copy, Debug)]
pub struct PeerDown<'a> {
    /// The reason, by number.
    pub reason: u8,
    /// The NOTIFICATION of reasons 1 and 3. A router may send the reason alone.
    pub notification: Option<Notification<'a>>,
    /// The FSM event code of reason 2.
    pub fsm_event: Option<u16>,
    /// The TLVs of reason 6; in BMP version 4 any reason may have some.
    pub information: Option<Tlvs<'a>>,
    /// What no field above has taken.
    pub data: &'a [u8],
}

impl<'a> PeerDown<'a> {
    /// Fails only where not even a reason is there.
    pub(super) fn parse(bytes: &'a [u8], version: u8) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let reason = reader.u8("peer down reason")?;
        let mut down =
            Self { reason, notification: None, fsm_event: None, information: None, data: &[] };
        let before = reader;
        match reason {
            1 | 3 => match bgp::Message::read(&mut reader).and_then(Notification::parse) {
                Ok(notification) => down.notification = Some(notification),
                Err(_) => reader = before,
            },
            2 => down.fsm_event = reader.u16("FSM event code").ok(),
            _ => {}
        }
        down.data = reader.take_rest();
        if reason == 6 || version == VERSION_4 {
            let information = Tlvs::parse(down.data, "peer down TLV");
            down.data = information.rest;
            down.information = Some(information);
        }
        Ok(down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::VERSION_3;

    fn parse(bytes: &[u8]) -> PeerDown<'_> {
        PeerDown::parse(bytes, VERSION_3).unwrap()
    }

    #[test]
    fn peer_down_reason_1_without_notification_is_still_a_peer_down() {
        let down = parse(&[1]);
        assert_eq!((down.reason, down.notification.is_none()), (1, true));
    }

    #[test]
    fn peer_down_reason_0_keeps_what_follows() {
        let down = parse(&[0, 7, 8]);
        assert_eq!((down.reason, down.data), (0, &[7, 8][..]));
    }

    #[test]
    fn a_notification_that_cannot_be_read_is_kept_as_data() {
        let down = parse(&[3, 9, 9, 9]);
        assert!(down.notification.is_none());
        assert_eq!(down.data, [9, 9, 9]);
    }

    #[test]
    fn the_tlvs_of_reason_6_before_a_broken_one_are_kept() {
        let down = parse(&[6, 0, 3, 0, 1, b'a', 0, 3, 0, 9]);
        assert_eq!(down.information.unwrap().iter().count(), 1);
        assert_eq!(down.data, [0, 3, 0, 9]);
    }

    #[test]
    fn in_version_4_tlvs_follow_any_reason() {
        let down = PeerDown::parse(&[2, 0, 10, 0, 3, 0, 1, b'a'], VERSION_4).unwrap();
        assert_eq!((down.fsm_event, down.data), (Some(10), &[][..]));
        assert_eq!(down.information.unwrap().first(3), Some(&b"a"[..]));
    }
}
