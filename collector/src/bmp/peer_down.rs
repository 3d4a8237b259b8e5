//! Peer Down Notification (RFC 7854, 4.9; RFC 9069, 5.3).

use crate::{
    bgp::{self, Notification},
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
    /// The TLVs of reason 6.
    pub information: Option<Tlvs<'a>>,
    /// What no field above has taken.
    pub data: &'a [u8],
}

impl<'a> PeerDown<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
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
            6 => {
                if let Ok(information) = Tlvs::parse(reader.rest(), "peer down TLV") {
                    down.information = Some(information);
                    reader.take_rest();
                }
            }
            _ => {}
        }
        down.data = reader.take_rest();
        Ok(down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_down_reason_1_without_notification_is_still_a_peer_down() {
        let down = PeerDown::parse(&[1]).unwrap();
        assert_eq!((down.reason, down.notification.is_none()), (1, true));
    }

    #[test]
    fn peer_down_reason_0_keeps_what_follows() {
        let down = PeerDown::parse(&[0, 7, 8]).unwrap();
        assert_eq!((down.reason, down.data), (0, &[7, 8][..]));
    }

    #[test]
    fn a_notification_that_cannot_be_read_is_kept_as_data() {
        let down = PeerDown::parse(&[3, 9, 9, 9]).unwrap();
        assert!(down.notification.is_none());
        assert_eq!(down.data, [9, 9, 9]);
    }
}
