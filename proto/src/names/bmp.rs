//! Names of BMP Parameters (IANA).

/// A BMP peer type (RFC 7854, 4.2; RFC 9069, 4.1).
#[must_use]
pub const fn peer_type(number: u8) -> Option<&'static str> {
    Some(match number {
        0 => "Global Instance Peer",
        1 => "RD Instance Peer",
        2 => "Local Instance Peer",
        3 => "Loc-RIB Instance Peer",
        _ => return None,
    })
}

/// A Peer Down reason (RFC 7854, 4.9; RFC 9069, 5.3), as the database names it.
/// 256 is the collector's own: the BMP session ended and took the peer with it.
#[must_use]
pub const fn peer_down_reason(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "local-notification",
        2 => "local-fsm-event",
        3 => "remote-notification",
        4 => "remote-no-notification",
        5 => "peer-de-configured",
        6 => "loc-rib-down",
        256 => "session-lost",
        _ => return None,
    })
}

/// An Initiation Information TLV (RFC 7854, 4.4; RFC 9736, 3.1).
#[must_use]
pub const fn initiation_tlv(number: u16) -> Option<&'static str> {
    Some(match number {
        0 => "String",
        1 => "sysDescr",
        2 => "sysName",
        _ => return None,
    })
}

/// A Peer Up Information TLV (RFC 9069, 5.2; RFC 9736, 3.3).
#[must_use]
pub const fn peer_up_tlv(number: u16) -> Option<&'static str> {
    Some(match number {
        0 => "String",
        3 => "VRF/Table Name",
        4 => "Admin Label",
        _ => return None,
    })
}

/// A TLV of a Peer Down of reason 6 (RFC 9069, 5.3), which are Peer Up's.
#[must_use]
pub const fn peer_down_tlv(number: u16) -> Option<&'static str> {
    peer_up_tlv(number)
}

/// A Termination TLV (RFC 7854, 4.5).
#[must_use]
pub const fn termination_tlv(number: u16) -> Option<&'static str> {
    Some(match number {
        0 => "String",
        1 => "Reason",
        _ => return None,
    })
}

/// The reason in a Termination (RFC 7854, 4.5).
#[must_use]
pub const fn termination_reason(number: u16) -> Option<&'static str> {
    Some(match number {
        0 => "Administratively closed",
        1 => "Unspecified reason",
        2 => "Out of resources",
        3 => "Redundant connection",
        4 => "Permanently administratively closed",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn the_database_uses_the_same_peer_down_reasons() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/0001_events.sql");
        let sql = fs::read_to_string(path).unwrap();
        let (_, function) = sql.split_once("function peer_down_reason_name(").unwrap();
        let (cases, _) = function.split_once("end;").unwrap();
        let mut compared = 0;
        for line in cases.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let ["when", number, "then", name] = words[..] else { continue };
            assert_eq!(peer_down_reason(number.parse().unwrap()), Some(name.trim_matches('\'')));
            compared += 1;
        }
        assert_eq!(compared, 7);
    }
}
