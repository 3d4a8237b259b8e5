-- Names of what IANA numbers, spelt as in the registries; those of statistics, whose
-- registry has whole sentences, in lower case with hyphens.

create function notification_code_name(code integer) returns text
language sql immutable strict parallel safe
return case code
    when 1 then 'Message Header Error'
    when 2 then 'OPEN Message Error'
    when 3 then 'UPDATE Message Error'
    when 4 then 'Hold Timer Expired'
    when 5 then 'Finite State Machine Error'
    when 6 then 'Cease'
    when 7 then 'ROUTE-REFRESH Message Error'
    when 8 then 'Send Hold Timer Expired'
    else code::text
end;
comment on function notification_code_name(integer) is
    'Name of the error code of a NOTIFICATION (RFC 4271, 4.5; RFC 7313; RFC 9687); the number itself where it has no name';

create function notification_subcode_name(code integer, subcode integer) returns text
language sql immutable strict parallel safe
return case
    when code between 1 and 3 and subcode = 0 then 'Unspecific'
    when code = 1 and subcode = 1 then 'Connection Not Synchronized'
    when code = 1 and subcode = 2 then 'Bad Message Length'
    when code = 1 and subcode = 3 then 'Bad Message Type'
    when code = 2 and subcode = 1 then 'Unsupported Version Number'
    when code = 2 and subcode = 2 then 'Bad Peer AS'
    when code = 2 and subcode = 3 then 'Bad BGP Identifier'
    when code = 2 and subcode = 4 then 'Unsupported Optional Parameter'
    when code = 2 and subcode = 5 then 'Authentication Failure'
    when code = 2 and subcode = 6 then 'Unacceptable Hold Time'
    when code = 2 and subcode = 7 then 'Unsupported Capability'
    when code = 2 and subcode = 11 then 'Role Mismatch'
    when code = 3 and subcode = 1 then 'Malformed Attribute List'
    when code = 3 and subcode = 2 then 'Unrecognized Well-known Attribute'
    when code = 3 and subcode = 3 then 'Missing Well-known Attribute'
    when code = 3 and subcode = 4 then 'Attribute Flags Error'
    when code = 3 and subcode = 5 then 'Attribute Length Error'
    when code = 3 and subcode = 6 then 'Invalid ORIGIN Attribute'
    when code = 3 and subcode = 7 then 'AS Routing Loop'
    when code = 3 and subcode = 8 then 'Invalid NEXT_HOP Attribute'
    when code = 3 and subcode = 9 then 'Optional Attribute Error'
    when code = 3 and subcode = 10 then 'Invalid Network Field'
    when code = 3 and subcode = 11 then 'Malformed AS_PATH'
    when code = 5 and subcode = 0 then 'Unspecified Error'
    when code = 5 and subcode = 1 then 'Receive Unexpected Message in OpenSent State'
    when code = 5 and subcode = 2 then 'Receive Unexpected Message in OpenConfirm State'
    when code = 5 and subcode = 3 then 'Receive Unexpected Message in Established State'
    when code = 6 and subcode = 1 then 'Maximum Number of Prefixes Reached'
    when code = 6 and subcode = 2 then 'Administrative Shutdown'
    when code = 6 and subcode = 3 then 'Peer De-configured'
    when code = 6 and subcode = 4 then 'Administrative Reset'
    when code = 6 and subcode = 5 then 'Connection Rejected'
    when code = 6 and subcode = 6 then 'Other Configuration Change'
    when code = 6 and subcode = 7 then 'Connection Collision Resolution'
    when code = 6 and subcode = 8 then 'Out of Resources'
    when code = 6 and subcode = 9 then 'Hard Reset'
    when code = 6 and subcode = 10 then 'BFD Down'
    when code = 7 and subcode = 1 then 'Invalid Message Length'
    else subcode::text
end;
comment on function notification_subcode_name(integer, integer) is
    'Name of the error subcode of a NOTIFICATION by code and subcode; the subcode itself where it has no name';

create function fsm_event_name(event integer) returns text
language sql immutable strict parallel safe
return case event
    when 1 then 'ManualStart'
    when 2 then 'ManualStop'
    when 3 then 'AutomaticStart'
    when 4 then 'ManualStart_with_PassiveTcpEstablishment'
    when 5 then 'AutomaticStart_with_PassiveTcpEstablishment'
    when 6 then 'AutomaticStart_with_DampPeerOscillations'
    when 7 then 'AutomaticStart_with_DampPeerOscillations_and_PassiveTcpEstablishment'
    when 8 then 'AutomaticStop'
    when 9 then 'ConnectRetryTimer_Expires'
    when 10 then 'HoldTimer_Expires'
    when 11 then 'KeepaliveTimer_Expires'
    when 12 then 'DelayOpenTimer_Expires'
    when 13 then 'IdleHoldTimer_Expires'
    when 14 then 'TcpConnection_Valid'
    when 15 then 'Tcp_CR_Invalid'
    when 16 then 'Tcp_CR_Acked'
    when 17 then 'TcpConnectionConfirmed'
    when 18 then 'TcpConnectionFails'
    when 19 then 'BGPOpen'
    when 20 then 'BGPOpen with DelayOpenTimer running'
    when 21 then 'BGPHeaderErr'
    when 22 then 'BGPOpenMsgErr'
    when 23 then 'OpenCollisionDump'
    when 24 then 'NotifMsgVerErr'
    when 25 then 'NotifMsg'
    when 26 then 'KeepAliveMsg'
    when 27 then 'UpdateMsg'
    when 28 then 'UpdateMsgErr'
    else event::text
end;
comment on function fsm_event_name(integer) is
    'Name of an event of the BGP finite state machine (RFC 4271, 8.1); the number itself where it has no name';

create function capability_name(code integer) returns text
language sql immutable strict parallel safe
return case code
    when 1 then 'Multiprotocol Extensions'
    when 2 then 'Route Refresh'
    when 3 then 'Outbound Route Filtering'
    when 4 then 'Multiple Routes to a Destination'
    when 5 then 'Extended Next Hop Encoding'
    when 6 then 'BGP Extended Message'
    when 7 then 'BGPsec'
    when 8 then 'Multiple Labels'
    when 9 then 'BGP Role'
    when 64 then 'Graceful Restart'
    when 65 then '4-octet AS number'
    when 67 then 'Dynamic Capability'
    when 68 then 'Multisession BGP'
    when 69 then 'ADD-PATH'
    when 70 then 'Enhanced Route Refresh'
    when 71 then 'Long-Lived Graceful Restart'
    when 72 then 'Routing Policy Distribution'
    when 73 then 'FQDN'
    when 74 then 'BFD'
    when 75 then 'Software Version'
    when 76 then 'PATHS-LIMIT'
    when 128 then 'Prestandard Route Refresh'
    when 129 then 'Prestandard Outbound Route Filtering'
    when 130 then 'Prestandard Outbound Route Filtering'
    when 131 then 'Prestandard Multisession BGP'
    else code::text
end;
comment on function capability_name(integer) is
    'Name of a BGP capability (IANA, Capability Codes); the number itself where it has no name';

create function termination_reason_name(reason integer) returns text
language sql immutable strict parallel safe
return case reason
    when 0 then 'Administratively closed'
    when 1 then 'Unspecified reason'
    when 2 then 'Out of resources'
    when 3 then 'Redundant connection'
    when 4 then 'Permanently administratively closed'
    else reason::text
end;
comment on function termination_reason_name(integer) is
    'Name of the reason in a Termination (RFC 7854, 4.5); the number itself where it has no name';

create or replace function statistic_name(type integer) returns text
language sql immutable strict parallel safe
return case type
    when 0 then 'prefixes-rejected'
    when 1 then 'duplicate-prefix-advertisements'
    when 2 then 'duplicate-withdraws'
    when 3 then 'cluster-list-loop'
    when 4 then 'as-path-loop'
    when 5 then 'originator-id'
    when 6 then 'as-confed-loop'
    when 7 then 'adj-rib-in-routes'
    when 8 then 'loc-rib-routes'
    when 9 then 'adj-rib-in-routes-per-family'
    when 10 then 'loc-rib-routes-per-family'
    when 11 then 'updates-treat-as-withdraw'
    when 12 then 'prefixes-treat-as-withdraw'
    when 13 then 'duplicate-updates'
    when 14 then 'adj-rib-out-pre-routes'
    when 15 then 'adj-rib-out-post-routes'
    when 16 then 'adj-rib-out-pre-routes-per-family'
    when 17 then 'adj-rib-out-post-routes-per-family'
    when 18 then 'adj-rib-in-pre-routes'
    when 19 then 'adj-rib-in-pre-routes-per-family'
    when 20 then 'adj-rib-in-post-routes'
    when 21 then 'adj-rib-in-post-routes-per-family'
    when 22 then 'adj-rib-in-pre-routes-rejected-per-family'
    when 23 then 'adj-rib-in-post-routes-accepted-per-family'
    when 24 then 'primary-routes-per-family'
    when 25 then 'backup-routes-per-family'
    when 26 then 'routes-damped-per-family'
    when 27 then 'routes-stale-by-graceful-restart-per-family'
    when 28 then 'routes-stale-by-long-lived-graceful-restart-per-family'
    when 29 then 'adj-rib-in-post-routes-left-before-threshold'
    when 30 then 'adj-rib-in-post-routes-left-before-threshold-per-family'
    when 31 then 'routes-left-before-license-threshold'
    when 32 then 'routes-left-before-license-threshold-per-family'
    when 33 then 'adj-rib-in-pre-routes-rejected-by-as-path-length'
    when 34 then 'adj-rib-in-pre-routes-rejected-by-as-path-length-per-family'
    when 35 then 'adj-rib-in-post-routes-rpki-invalid-per-family'
    when 36 then 'adj-rib-in-post-routes-rpki-valid-per-family'
    when 37 then 'adj-rib-in-post-routes-rpki-not-found-per-family'
    when 38 then 'adj-rib-out-pre-routes-rejected-per-family'
    when 39 then 'adj-rib-out-pre-routes-filtered-by-as-path-length'
    when 40 then 'adj-rib-out-pre-routes-filtered-by-as-path-length-per-family'
    when 41 then 'adj-rib-out-post-routes-rpki-invalid-per-family'
    when 42 then 'adj-rib-out-post-routes-rpki-valid-per-family'
    when 43 then 'adj-rib-out-post-routes-rpki-not-found-per-family'
    else type::text
end;
comment on function statistic_name(integer) is
    'Name of a BMP statistic by its type (RFC 7854, 4.8; RFC 8671, 6; RFC 9972, 3); the number itself where it has no name here';

create function statistic_unit(type integer) returns text
language sql immutable strict parallel safe
return case
    when type = 12 or type between 0 and 1 then 'prefixes'
    when type = 2 then 'withdrawals'
    when type in (11, 13) or type between 3 and 6 then 'updates'
    when type between 7 and 10 or type between 14 and 43 then 'routes'
end;
comment on function statistic_unit(integer) is
    'What a BMP statistic counts, as routes or updates; null where that is not known here';
