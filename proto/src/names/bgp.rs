//! Names of BGP: error codes, FSM events, capabilities.

/// A NOTIFICATION error code (IANA, BGP Error (Notification) Codes).
#[must_use]
pub const fn error_code(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "Message Header Error",
        2 => "OPEN Message Error",
        3 => "UPDATE Message Error",
        4 => "Hold Timer Expired",
        5 => "Finite State Machine Error",
        6 => "Cease",
        7 => "ROUTE-REFRESH Message Error",
        8 => "Send Hold Timer Expired",
        _ => return None,
    })
}

/// A NOTIFICATION error subcode, by the registry of its code (RFC 4271, 6; RFC
/// 4486; RFC 5492; RFC 6608; RFC 7313; RFC 8538; RFC 9234; RFC 9384).
#[must_use]
pub const fn error_subcode(code: u8, subcode: u8) -> Option<&'static str> {
    Some(match (code, subcode) {
        (1..=3, 0) => "Unspecific",
        (1, 1) => "Connection Not Synchronized",
        (1, 2) => "Bad Message Length",
        (1, 3) => "Bad Message Type",
        (2, 1) => "Unsupported Version Number",
        (2, 2) => "Bad Peer AS",
        (2, 3) => "Bad BGP Identifier",
        (2, 4) => "Unsupported Optional Parameter",
        (2, 5) => "Authentication Failure",
        (2, 6) => "Unacceptable Hold Time",
        (2, 7) => "Unsupported Capability",
        (2, 11) => "Role Mismatch",
        (3, 1) => "Malformed Attribute List",
        (3, 2) => "Unrecognized Well-known Attribute",
        (3, 3) => "Missing Well-known Attribute",
        (3, 4) => "Attribute Flags Error",
        (3, 5) => "Attribute Length Error",
        (3, 6) => "Invalid ORIGIN Attribute",
        (3, 7) => "AS Routing Loop",
        (3, 8) => "Invalid NEXT_HOP Attribute",
        (3, 9) => "Optional Attribute Error",
        (3, 10) => "Invalid Network Field",
        (3, 11) => "Malformed AS_PATH",
        (5, 0) => "Unspecified Error",
        (5, 1) => "Receive Unexpected Message in OpenSent State",
        (5, 2) => "Receive Unexpected Message in OpenConfirm State",
        (5, 3) => "Receive Unexpected Message in Established State",
        (6, 1) => "Maximum Number of Prefixes Reached",
        (6, 2) => "Administrative Shutdown",
        (6, 3) => "Peer De-configured",
        (6, 4) => "Administrative Reset",
        (6, 5) => "Connection Rejected",
        (6, 6) => "Other Configuration Change",
        (6, 7) => "Connection Collision Resolution",
        (6, 8) => "Out of Resources",
        (6, 9) => "Hard Reset",
        (6, 10) => "BFD Down",
        (7, 1) => "Invalid Message Length",
        _ => return None,
    })
}

/// An event of BGP's finite state machine, by its number in RFC 4271, 8.1.
#[must_use]
pub const fn fsm_event(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "ManualStart",
        2 => "ManualStop",
        3 => "AutomaticStart",
        4 => "ManualStart_with_PassiveTcpEstablishment",
        5 => "AutomaticStart_with_PassiveTcpEstablishment",
        6 => "AutomaticStart_with_DampPeerOscillations",
        7 => "AutomaticStart_with_DampPeerOscillations_and_PassiveTcpEstablishment",
        8 => "AutomaticStop",
        9 => "ConnectRetryTimer_Expires",
        10 => "HoldTimer_Expires",
        11 => "KeepaliveTimer_Expires",
        12 => "DelayOpenTimer_Expires",
        13 => "IdleHoldTimer_Expires",
        14 => "TcpConnection_Valid",
        15 => "Tcp_CR_Invalid",
        16 => "Tcp_CR_Acked",
        17 => "TcpConnectionConfirmed",
        18 => "TcpConnectionFails",
        19 => "BGPOpen",
        20 => "BGPOpen with DelayOpenTimer running",
        21 => "BGPHeaderErr",
        22 => "BGPOpenMsgErr",
        23 => "OpenCollisionDump",
        24 => "NotifMsgVerErr",
        25 => "NotifMsg",
        26 => "KeepAliveMsg",
        27 => "UpdateMsg",
        28 => "UpdateMsgErr",
        _ => return None,
    })
}

/// A capability (IANA, Capability Codes), without the words that all of them share.
#[must_use]
pub const fn capability(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "Multiprotocol Extensions",
        2 => "Route Refresh",
        3 => "Outbound Route Filtering",
        4 => "Multiple Routes to a Destination",
        5 => "Extended Next Hop Encoding",
        6 => "BGP Extended Message",
        7 => "BGPsec",
        8 => "Multiple Labels",
        9 => "BGP Role",
        64 => "Graceful Restart",
        65 => "4-octet AS number",
        67 => "Dynamic Capability",
        68 => "Multisession BGP",
        69 => "ADD-PATH",
        70 => "Enhanced Route Refresh",
        71 => "Long-Lived Graceful Restart",
        72 => "Routing Policy Distribution",
        73 => "FQDN",
        74 => "BFD",
        75 => "Software Version",
        76 => "PATHS-LIMIT",
        128 => "Prestandard Route Refresh",
        129 | 130 => "Prestandard Outbound Route Filtering",
        131 => "Prestandard Multisession BGP",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subcode_is_named_by_the_registry_of_its_code() {
        assert_eq!(error_subcode(6, 2), Some("Administrative Shutdown"));
        assert_eq!(error_subcode(2, 2), Some("Bad Peer AS"));
        assert_eq!(error_subcode(2, 11), Some("Role Mismatch"));
        assert_eq!(error_subcode(6, 9), Some("Hard Reset"));
        assert_eq!(error_subcode(6, 10), Some("BFD Down"));
        assert_eq!(error_subcode(4, 1), None);
        assert_eq!(error_code(8), Some("Send Hold Timer Expired"));
    }

    #[test]
    fn the_28_events_of_the_finite_state_machine_have_names() {
        assert_eq!((0..=u16::MAX).filter_map(fsm_event).count(), 28);
        assert_eq!(fsm_event(10), Some("HoldTimer_Expires"));
    }
}
