//! NOTIFICATION (RFC 4271, 4.5) and what Cease says in its data (RFC 9003; RFC 8538).

use super::{Message, message_type};
use crate::wire::{Malformed, Reader};

const CEASE: u8 = 6;
const ADMINISTRATIVE_SHUTDOWN: u8 = 2;
const ADMINISTRATIVE_RESET: u8 = 4;
const HARD_RESET: u8 = 9;

/// A NOTIFICATION message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification<'a> {
    /// Error code.
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    /// What follows.
    pub data: &'a [u8],
}

impl<'a> Notification<'a> {
    /// Reads a NOTIFICATION.
    pub fn parse(message: Message<'a>) -> Result<Self, Malformed> {
        if message.kind != message_type::NOTIFICATION {
            return Err(Malformed::Value {
                what: "type of a BGP message that should be a NOTIFICATION",
                value: message.kind.into(),
            });
        }
        Self::read(Reader::new(message.body))
    }

    fn read(mut reader: Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            code: reader.u8("NOTIFICATION code")?,
            subcode: reader.u8("NOTIFICATION subcode")?,
            data: reader.take_rest(),
        })
    }

    /// The text of a shutdown or reset by the operator (RFC 9003, 2): a length and
    /// as many octets of UTF-8, or what is there if the length says more.
    #[must_use]
    pub fn shutdown_communication(&self) -> Option<&'a [u8]> {
        let cease = self.code == CEASE
            && matches!(self.subcode, ADMINISTRATIVE_SHUTDOWN | ADMINISTRATIVE_RESET);
        let (&length, text) = self.data.split_first().filter(|_| cease)?;
        Some(text.get(..length.into()).unwrap_or(text))
    }

    /// The NOTIFICATION in a Hard Reset (RFC 8538, 3.1): code, subcode, data.
    #[must_use]
    pub fn enclosed(&self) -> Option<Self> {
        let hard_reset = (self.code, self.subcode) == (CEASE, HARD_RESET);
        Self::read(Reader::new(self.data)).ok().filter(|_| hard_reset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cease(subcode: u8, data: &[u8]) -> Notification<'_> {
        Notification { code: CEASE, subcode, data }
    }

    #[test]
    fn a_shutdown_communication_with_a_wrong_length_is_what_is_there() {
        assert_eq!(cease(2, b"\x03bye").shutdown_communication(), Some(&b"bye"[..]));
        assert_eq!(cease(4, b"\xf0bye").shutdown_communication(), Some(&b"bye"[..]));
        assert_eq!(cease(2, b"\x01bye").shutdown_communication(), Some(&b"b"[..]));
        assert_eq!(cease(2, b"\0").shutdown_communication(), Some(&[][..]));
        assert_eq!(cease(2, b"").shutdown_communication(), None);
        assert_eq!(cease(3, b"\x03bye").shutdown_communication(), None);
    }

    #[test]
    fn a_hard_reset_encloses_a_notification() {
        assert_eq!(cease(9, b"\x06\x02\x03bye").enclosed(), Some(cease(2, b"\x03bye")));
        assert_eq!(cease(9, b"\x06").enclosed(), None);
        assert_eq!(cease(8, b"\x06\x02").enclosed(), None);
    }
}
