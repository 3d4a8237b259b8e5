-- What routers said, and who they are: inventory, history, offsets.
--
-- Conventions. `time` is the collector's clock when it received the message,
-- `router_time` the router's own where it gave one. (session, sequence, ordinal)
-- orders the rows of a peer and names each once. null means unknown or not
-- sent. Numbers that IANA assigns are stored as numbers; the functions
-- below give their names. Text from routers is UTF-8 with NUL shown as \x00.

create extension if not exists timescaledb;

-- Names ---------------------------------------------------------------------

create function rib_view_name(view integer) returns text
language sql immutable strict parallel safe
return case view
    when 1 then 'adj-rib-in-pre'
    when 2 then 'adj-rib-in-post'
    when 3 then 'adj-rib-out-pre'
    when 4 then 'adj-rib-out-post'
    when 5 then 'loc-rib'
    else view::text
end;
comment on function rib_view_name(integer) is
    'Name of the table of a peer that a message speaks of (RFC 7854, RFC 8671, RFC 9069); the number itself where it has no name';

create function family_name(afi integer, safi integer) returns text
language sql immutable strict parallel safe
return case
    when afi = 1 and safi = 1 then 'ipv4-unicast'
    when afi = 2 and safi = 1 then 'ipv6-unicast'
    when afi = 1 and safi = 2 then 'ipv4-multicast'
    when afi = 2 and safi = 2 then 'ipv6-multicast'
    when afi = 1 and safi = 4 then 'ipv4-labeled'
    when afi = 2 and safi = 4 then 'ipv6-labeled'
    when afi = 1 and safi = 5 then 'ipv4-mvpn'
    when afi = 2 and safi = 5 then 'ipv6-mvpn'
    when afi = 1 and safi = 66 then 'mdt'
    when afi = 1 and safi = 73 then 'ipv4-srpolicy'
    when afi = 2 and safi = 73 then 'ipv6-srpolicy'
    when afi = 1 and safi = 85 then 'ipv4-mup'
    when afi = 2 and safi = 85 then 'ipv6-mup'
    when afi = 1 and safi = 128 then 'vpnv4'
    when afi = 2 and safi = 128 then 'vpnv6'
    when afi = 1 and safi = 129 then 'vpnv4-mcast'
    when afi = 2 and safi = 129 then 'vpnv6-mcast'
    when afi = 1 and safi = 132 then 'rtc'
    when afi = 1 and safi = 133 then 'ipv4-flowspec'
    when afi = 2 and safi = 133 then 'ipv6-flowspec'
    when afi = 1 and safi = 134 then 'vpnv4-flowspec'
    when afi = 2 and safi = 134 then 'vpnv6-flowspec'
    when afi = 25 and safi = 65 then 'vpls'
    when afi = 25 and safi = 70 then 'evpn'
    when afi = 16388 and safi = 71 then 'bgp-ls'
    when afi = 16388 and safi = 72 then 'bgp-ls-vpn'
    when afi = 16397 and safi = 241 then 'opaque'
    else afi::text || '/' || safi::text
end;
comment on function family_name(integer, integer) is
    'Name of an address family by AFI and SAFI, as afi/safi where it has none';

create function peer_type_name(type integer) returns text
language sql immutable strict parallel safe
return case type
    when 0 then 'global'
    when 1 then 'rd'
    when 2 then 'local'
    when 3 then 'loc-rib'
    else type::text
end;
comment on function peer_type_name(integer) is
    'Name of a BMP peer type (RFC 7854, 4.2; RFC 9069, 4.1)';

create function distinguisher_text(distinguisher bytea) returns text
language sql immutable strict parallel safe
return case
    when length(distinguisher) <> 8 then '0'
    when distinguisher = '\x0000000000000000' then '0'
    when get_byte(distinguisher, 0) = 0 and get_byte(distinguisher, 1) = 0 then
        (get_byte(distinguisher, 2) * 256 + get_byte(distinguisher, 3))::text || ':'
        || (get_byte(distinguisher, 4)::bigint * 16777216 + get_byte(distinguisher, 5) * 65536
            + get_byte(distinguisher, 6) * 256 + get_byte(distinguisher, 7))::text
    when get_byte(distinguisher, 0) = 0 and get_byte(distinguisher, 1) = 1 then
        get_byte(distinguisher, 2)::text || '.' || get_byte(distinguisher, 3)::text || '.'
        || get_byte(distinguisher, 4)::text || '.' || get_byte(distinguisher, 5)::text || ':'
        || (get_byte(distinguisher, 6) * 256 + get_byte(distinguisher, 7))::text
    when get_byte(distinguisher, 0) = 0 and get_byte(distinguisher, 1) = 2 then
        (get_byte(distinguisher, 2)::bigint * 16777216 + get_byte(distinguisher, 3) * 65536
            + get_byte(distinguisher, 4) * 256 + get_byte(distinguisher, 5))::text || ':'
        || (get_byte(distinguisher, 6) * 256 + get_byte(distinguisher, 7))::text
    else encode(distinguisher, 'hex')
end;
comment on function distinguisher_text(bytea) is
    'A peer or route distinguisher as text (RFC 4364, 4.2): 0 where it is zero, hexadecimal where its type is unknown';

create function peer_down_reason_name(reason integer) returns text
language sql immutable strict parallel safe
return case reason
    when 1 then 'local-notification'
    when 2 then 'local-fsm-event'
    when 3 then 'remote-notification'
    when 4 then 'remote-no-notification'
    when 5 then 'peer-de-configured'
    when 6 then 'loc-rib-down'
    when 256 then 'session-lost'
    else reason::text
end;
comment on function peer_down_reason_name(integer) is
    'Name of a Peer Down reason (RFC 7854, 4.9; RFC 9069, 5.3); 256, session-lost, is the collector''s: the BMP session ended and took the peer with it';

create function statistic_name(type integer) returns text
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
    else type::text
end;
comment on function statistic_name(integer) is
    'Name of a BMP statistic by its type (RFC 7854, 4.8; RFC 8671, 6); the number itself where it has no name here';

create function as_path_asns(as_path text) returns bigint[]
language sql immutable strict parallel safe
return coalesce(
    (select array_agg(asn[1]::bigint) from regexp_matches(as_path, '\d+', 'g') as asn),
    '{}'
);
comment on function as_path_asns(text) is
    'The AS numbers of a path in order, segments run together: for searching, as in 65001 = any (as_path_asns(as_path))';

-- Inventory -------------------------------------------------------------------

create table routers (
    id integer generated always as identity primary key,
    identity text not null unique,
    address inet,
    sys_name text,
    sys_descr text,
    first_heard timestamptz not null,
    last_heard timestamptz not null
);
comment on table routers is 'Every router ever heard of';
comment on column routers.id is 'Ribstream''s own number of the router';
comment on column routers.identity is 'What tells it from other routers: its address, or what the collector is configured to use; the same whichever collector it talks to';
comment on column routers.address is 'The source address of its latest session';
comment on column routers.sys_name is 'sysName of its latest Initiation that had one (RFC 7854, 4.4)';
comment on column routers.sys_descr is 'sysDescr of its latest Initiation that had one';
comment on column routers.first_heard is 'Receive time of the first event known of it';
comment on column routers.last_heard is 'Receive time of its latest session start, heartbeat or session end';

create table bmp_sessions (
    router_id integer not null references routers,
    session bigint not null,
    collector text not null,
    address inet,
    remote_port integer,
    started timestamptz not null,
    sys_name text,
    sys_descr text,
    information jsonb,
    last_heard timestamptz not null,
    messages bigint,
    octets bigint,
    peers integer,
    ended timestamptz,
    end_reason smallint,
    end_detail text,
    end_information jsonb,
    primary key (router_id, session)
);
comment on table bmp_sessions is 'Every BMP session that a collector accepted from a router. A router may hold several at once';
comment on column bmp_sessions.router_id is 'The router';
comment on column bmp_sessions.session is 'Name of the session: the collector''s clock when it accepted the connection, in microseconds since 1970';
comment on column bmp_sessions.collector is 'Name of the collector that held it';
comment on column bmp_sessions.address is 'The address that the session came from';
comment on column bmp_sessions.remote_port is 'The TCP port that the session came from';
comment on column bmp_sessions.started is 'When the collector accepted the connection';
comment on column bmp_sessions.sys_name is 'The first sysName of the Initiation';
comment on column bmp_sessions.sys_descr is 'The first sysDescr of the Initiation';
comment on column bmp_sessions.information is 'All Information TLVs of the Initiation: type, and value as text, or as 0x and digits where it is not printable';
comment on column bmp_sessions.last_heard is 'Receive time of the latest session start, heartbeat or session end';
comment on column bmp_sessions.messages is 'BMP messages received by the latest heartbeat; null before the first';
comment on column bmp_sessions.octets is 'Octets received by the latest heartbeat; null before the first';
comment on column bmp_sessions.peers is 'Peers up at the latest heartbeat; null before the first';
comment on column bmp_sessions.ended is 'When the session ended; null while no end is known';
comment on column bmp_sessions.end_reason is 'Why it ended, see session_end_name(); null while no end is known';
comment on column bmp_sessions.end_detail is 'The collector''s words on why it ended';
comment on column bmp_sessions.end_information is 'All Information TLVs of the Termination (RFC 7854, 4.5)';

create function session_end_name(reason integer) returns text
language sql immutable strict parallel safe
return case reason
    when 1 then 'termination'
    when 2 then 'disconnect'
    when 3 then 'idle'
    when 4 then 'bad-frame'
    when 5 then 'collector-shutdown'
    when 6 then 'publish-failed'
    else reason::text
end;
comment on function session_end_name(integer) is
    'Name of the reason for which a BMP session ended';

create table peers (
    id integer generated always as identity primary key,
    router_id integer not null references routers,
    type integer not null,
    distinguisher bytea not null,
    address inet,
    loc_rib_bgp_id inet,
    loc_rib_name text,
    asn bigint,
    bgp_id inet,
    first_heard timestamptz not null,
    up boolean,
    since timestamptz,
    session bigint,
    sequence bigint,
    down_reason integer,
    unique nulls not distinct (router_id, type, distinguisher, address, loc_rib_bgp_id, loc_rib_name)
);
comment on table peers is 'Every BMP peer ever heard of: a BGP neighbour of a router as seen in one of its instances, or a Loc-RIB';
comment on column peers.id is 'Ribstream''s own number of the peer, as in the event tables';
comment on column peers.router_id is 'The router whose peer it is';
comment on column peers.type is 'BMP peer type, see peer_type_name()';
comment on column peers.distinguisher is 'Peer Distinguisher, eight bytes, see distinguisher_text()';
comment on column peers.address is 'The neighbour''s address; null for a Loc-RIB';
comment on column peers.loc_rib_bgp_id is 'Of a Loc-RIB, the BGP Identifier, which is part of what tells it from others; null for other peers';
comment on column peers.loc_rib_name is 'Of a Loc-RIB, the VRF or table name (RFC 9069, 4.4), which is part of what tells it from others; null for other peers and where none was given';
comment on column peers.asn is 'AS number at the latest Peer Up or Peer Down, before the first of them at the first event';
comment on column peers.bgp_id is 'BGP Identifier at the latest Peer Up or Peer Down, before the first of them at the first event';
comment on column peers.first_heard is 'Receive time of the first event known of it';
comment on column peers.up is 'What the latest Peer Up or Peer Down said; null before the first';
comment on column peers.since is 'Receive time of that message';
comment on column peers.session is 'BMP session of that message';
comment on column peers.sequence is 'Number of that message in its session';
comment on column peers.down_reason is 'Where the peer is down, why, see peer_down_reason_name()';

-- History -----------------------------------------------------------------------

create table peer_events (
    time timestamptz not null,
    router_time timestamptz,
    session bigint not null,
    sequence bigint not null,
    peer_id integer not null,
    ordinal integer not null,
    kind text not null check (kind in ('up', 'down', 'end-of-rib')),
    view smallint,
    afi integer,
    safi smallint,
    asn bigint,
    bgp_id inet,
    flags smallint,
    reason integer,
    notification_code smallint,
    notification_subcode smallint,
    notification_data bytea,
    fsm_event integer,
    local_address inet,
    local_port integer,
    remote_port integer,
    sent_open jsonb,
    sent_open_raw bytea,
    received_open jsonb,
    received_open_raw bytea,
    information jsonb,
    data bytea
);
comment on table peer_events is 'Every Peer Up, Peer Down and End-of-RIB';
comment on column peer_events.time is 'When the collector received the message';
comment on column peer_events.router_time is 'The router''s own timestamp; null where it gave none';
comment on column peer_events.session is 'BMP session, as in bmp_sessions';
comment on column peer_events.sequence is 'Which message of the session this is. A Peer Down that the collector made at the session''s end has the number of the last message received';
comment on column peer_events.peer_id is 'The peer, as in peers';
comment on column peer_events.ordinal is 'Which row of the message this is, from 0; 2147483647 for the loss of the session, which is behind all of it';
comment on column peer_events.kind is 'up, down or end-of-rib';
comment on column peer_events.view is 'Of an End-of-RIB, the table, see rib_view_name()';
comment on column peer_events.afi is 'Of an End-of-RIB, the address family, see family_name()';
comment on column peer_events.safi is 'Of an End-of-RIB, the subsequent address family';
comment on column peer_events.asn is 'AS number in the Per-Peer Header';
comment on column peer_events.bgp_id is 'BGP Identifier in the Per-Peer Header; null where the router left it zero';
comment on column peer_events.flags is 'Peer Flags of the Per-Peer Header as sent';
comment on column peer_events.reason is 'Of a Peer Down, why, see peer_down_reason_name()';
comment on column peer_events.notification_code is 'Error code of the NOTIFICATION (RFC 4271, 4.5)';
comment on column peer_events.notification_subcode is 'Error subcode of the NOTIFICATION';
comment on column peer_events.notification_data is 'Data of the NOTIFICATION';
comment on column peer_events.fsm_event is 'Of a Peer Down of reason 2, the FSM event (RFC 4271, 8.1)';
comment on column peer_events.local_address is 'Of a Peer Up, the router''s address of the BGP session; null where it left it zero';
comment on column peer_events.local_port is 'Of a Peer Up, the router''s TCP port; null where it left it zero';
comment on column peer_events.remote_port is 'Of a Peer Up, the neighbour''s TCP port; null where the router left it zero';
comment on column peer_events.sent_open is 'Of a Peer Up, the OPEN that the router sent, with its capabilities';
comment on column peer_events.sent_open_raw is 'The same OPEN as bytes';
comment on column peer_events.received_open is 'Of a Peer Up, the OPEN that the router received, with its capabilities';
comment on column peer_events.received_open_raw is 'The same OPEN as bytes';
comment on column peer_events.information is 'Information TLVs: type, and value as text, or as 0x and digits where it is not printable';
comment on column peer_events.data is 'Of a Peer Down, what follows the reason and is not decoded';

select create_hypertable('peer_events', by_range('time', interval '7 days'), create_default_indexes => false);
create index peer_events_time on peer_events (time);
create index peer_events_peer on peer_events (peer_id, time);

create table route_events (
    time timestamptz not null,
    router_time timestamptz,
    session bigint not null,
    sequence bigint not null,
    peer_id integer not null,
    ordinal integer not null,
    afi integer not null,
    safi smallint not null,
    view smallint not null,
    action text not null,
    initial_dump boolean not null,
    prefix cidr not null,
    path_id bigint,
    route_distinguisher text,
    labels integer[],
    next_hop inet,
    link_local_next_hop inet,
    origin text,
    as_path text,
    origin_as bigint,
    med bigint,
    local_pref bigint,
    atomic_aggregate boolean,
    aggregator_asn bigint,
    aggregator_address inet,
    communities text[],
    extended_communities text[],
    large_communities text[],
    originator_id inet,
    cluster_list inet[],
    only_to_customer bigint,
    other_attributes jsonb,
    attribute_errors jsonb,
    reading jsonb
);
comment on table route_events is 'Every announcement and withdrawal of a prefix, as received, with its path attributes';
comment on column route_events.time is 'When the collector received the message';
comment on column route_events.router_time is 'The router''s own timestamp; null where it gave none';
comment on column route_events.session is 'BMP session, as in bmp_sessions';
comment on column route_events.sequence is 'Which message of the session this is';
comment on column route_events.peer_id is 'The peer, as in peers';
comment on column route_events.ordinal is 'Which row of the message this is, from 0. (session, sequence, ordinal) orders the rows of a peer';
comment on column route_events.afi is 'Address family, see family_name()';
comment on column route_events.safi is 'Subsequent address family';
comment on column route_events.view is 'Which of the peer''s tables, see rib_view_name()';
comment on column route_events.action is 'announce or withdraw. A withdrawal has no attributes';
comment on column route_events.initial_dump is 'The message restates a table (the dump that follows a Peer Up), it is not news';
comment on column route_events.prefix is 'The prefix';
comment on column route_events.path_id is 'Path identifier (RFC 7911); null where the NLRI had none';
comment on column route_events.route_distinguisher is 'Route Distinguisher of a VPN route (RFC 4364, 4.2), as 65001:7; 0 where it is zero, null for other routes';
comment on column route_events.labels is 'Label stack of a labelled or VPN route from the top (RFC 8277); null for other routes, and mostly for withdrawals';
comment on column route_events.next_hop is 'The next hop that belongs to the route';
comment on column route_events.link_local_next_hop is 'The link-local address of a 32 byte next hop (RFC 2545, 3)';
comment on column route_events.origin is 'ORIGIN: igp, egp or incomplete';
comment on column route_events.as_path is 'AS_PATH as routers print it: sequence 65001 65002, set {65001,65002}, confederation sequence (65001 65002), confederation set [65001,65002]. An empty path is the empty text';
comment on column route_events.origin_as is 'The last AS of the path where it ends with a sequence; null where it is empty or ends with a set or a confederation segment';
comment on column route_events.med is 'MULTI_EXIT_DISC';
comment on column route_events.local_pref is 'LOCAL_PREF';
comment on column route_events.atomic_aggregate is 'ATOMIC_AGGREGATE was present';
comment on column route_events.aggregator_asn is 'AS number of AGGREGATOR';
comment on column route_events.aggregator_address is 'Address of AGGREGATOR';
comment on column route_events.communities is 'COMMUNITIES (RFC 1997) in the order sent, each as asn:value';
comment on column route_events.extended_communities is 'EXTENDED_COMMUNITIES (RFC 4360) in the order sent, each as 16 hexadecimal digits';
comment on column route_events.large_communities is 'LARGE_COMMUNITY (RFC 8092) in the order sent, each as asn:value:value';
comment on column route_events.originator_id is 'ORIGINATOR_ID (RFC 4456)';
comment on column route_events.cluster_list is 'CLUSTER_LIST (RFC 4456) in the order sent';
comment on column route_events.only_to_customer is 'Only to Customer (RFC 9234)';
comment on column route_events.other_attributes is 'Path attributes that have no column of their own: type, flags, and value as hexadecimal digits';
comment on column route_events.attribute_errors is 'What RFC 7606 made of malformed attributes: type, verdict, reason, and the value as hexadecimal digits';
comment on column route_events.reading is 'What is unusual in how the message was read: overruled (claims that the bytes belied), asn_width where it is 2, filtered (F flag of a Loc-RIB), as4_path and as4_aggregator as sent, next_hop (the NEXT_HOP attribute beside a multiprotocol next hop), next_hop_raw (a next hop that is no address)';

select create_hypertable('route_events', by_range('time', interval '1 day'), create_default_indexes => false);
create index route_events_time on route_events (time);
create index route_events_prefix on route_events (prefix, time);

create table other_events (
    time timestamptz not null,
    router_time timestamptz,
    session bigint not null,
    sequence bigint not null,
    peer_id integer not null,
    ordinal integer not null,
    afi integer not null,
    safi smallint not null,
    view smallint not null,
    action text not null,
    initial_dump boolean not null,
    nlri bytea not null,
    next_hop_raw bytea,
    next_hop inet,
    link_local_next_hop inet,
    origin text,
    as_path text,
    origin_as bigint,
    med bigint,
    local_pref bigint,
    atomic_aggregate boolean,
    aggregator_asn bigint,
    aggregator_address inet,
    communities text[],
    extended_communities text[],
    large_communities text[],
    originator_id inet,
    cluster_list inet[],
    only_to_customer bigint,
    other_attributes jsonb,
    attribute_errors jsonb,
    reading jsonb
);
comment on table other_events is 'Every announcement and withdrawal in a family that is not decoded, one row for each NLRI field, with its bytes';
comment on column other_events.time is 'When the collector received the message';
comment on column other_events.router_time is 'The router''s own timestamp; null where it gave none';
comment on column other_events.session is 'BMP session, as in bmp_sessions';
comment on column other_events.sequence is 'Which message of the session this is';
comment on column other_events.peer_id is 'The peer, as in peers';
comment on column other_events.ordinal is 'Which row of the message this is, from 0; counted together with route_events';
comment on column other_events.afi is 'Address family, see family_name()';
comment on column other_events.safi is 'Subsequent address family';
comment on column other_events.view is 'Which of the peer''s tables, see rib_view_name()';
comment on column other_events.action is 'announce or withdraw. A withdrawal has no attributes';
comment on column other_events.initial_dump is 'The message restates a table (the dump that follows a Peer Up), it is not news';
comment on column other_events.nlri is 'The whole NLRI field as sent; it may hold several routes';
comment on column other_events.next_hop_raw is 'The next hop as sent';
comment on column other_events.next_hop is 'The next hop, where it is an address';
comment on column other_events.link_local_next_hop is 'The link-local address of a 32 byte next hop (RFC 2545, 3)';
comment on column other_events.origin is 'ORIGIN: igp, egp or incomplete';
comment on column other_events.as_path is 'AS_PATH as in route_events';
comment on column other_events.origin_as is 'The last AS of the path, as in route_events';
comment on column other_events.med is 'MULTI_EXIT_DISC';
comment on column other_events.local_pref is 'LOCAL_PREF';
comment on column other_events.atomic_aggregate is 'ATOMIC_AGGREGATE was present';
comment on column other_events.aggregator_asn is 'AS number of AGGREGATOR';
comment on column other_events.aggregator_address is 'Address of AGGREGATOR';
comment on column other_events.communities is 'COMMUNITIES as in route_events';
comment on column other_events.extended_communities is 'EXTENDED_COMMUNITIES as in route_events';
comment on column other_events.large_communities is 'LARGE_COMMUNITY as in route_events';
comment on column other_events.originator_id is 'ORIGINATOR_ID (RFC 4456)';
comment on column other_events.cluster_list is 'CLUSTER_LIST (RFC 4456) in the order sent';
comment on column other_events.only_to_customer is 'Only to Customer (RFC 9234)';
comment on column other_events.other_attributes is 'Path attributes that have no column of their own, as in route_events';
comment on column other_events.attribute_errors is 'What RFC 7606 made of malformed attributes, as in route_events';
comment on column other_events.reading is 'What is unusual in how the message was read, as in route_events';

select create_hypertable('other_events', by_range('time', interval '1 day'), create_default_indexes => false);
create index other_events_time on other_events (time);

create table stats_reports (
    time timestamptz not null,
    router_time timestamptz,
    session bigint not null,
    sequence bigint not null,
    peer_id integer not null,
    ordinal integer not null,
    type integer not null,
    afi integer,
    safi smallint,
    value bigint,
    raw bytea
);
comment on table stats_reports is 'Every statistic of every Statistics Report (RFC 7854, 4.8)';
comment on column stats_reports.time is 'When the collector received the message';
comment on column stats_reports.router_time is 'The router''s own timestamp; null where it gave none';
comment on column stats_reports.session is 'BMP session, as in bmp_sessions';
comment on column stats_reports.sequence is 'Which message of the session this is';
comment on column stats_reports.peer_id is 'The peer, as in peers';
comment on column stats_reports.ordinal is 'Which statistic of the message this is, from 0';
comment on column stats_reports.type is 'Statistic type, see statistic_name()';
comment on column stats_reports.afi is 'Of a statistic per family, the address family, see family_name()';
comment on column stats_reports.safi is 'Of a statistic per family, the subsequent address family';
comment on column stats_reports.value is 'The counter or gauge; null where it is neither, or past the range of bigint';
comment on column stats_reports.raw is 'The value as sent, where value is null';

select create_hypertable('stats_reports', by_range('time', interval '7 days'), create_default_indexes => false);
create index stats_reports_time on stats_reports (time);
create index stats_reports_peer on stats_reports (peer_id, type, time);

create table mirrored_messages (
    time timestamptz not null,
    router_time timestamptz,
    session bigint not null,
    sequence bigint not null,
    peer_id integer not null,
    ordinal integer not null,
    type integer not null,
    value bytea not null
);
comment on table mirrored_messages is 'Every TLV of every Route Mirroring message (RFC 7854, 4.7)';
comment on column mirrored_messages.time is 'When the collector received the message';
comment on column mirrored_messages.router_time is 'The router''s own timestamp; null where it gave none';
comment on column mirrored_messages.session is 'BMP session, as in bmp_sessions';
comment on column mirrored_messages.sequence is 'Which message of the session this is';
comment on column mirrored_messages.peer_id is 'The peer, as in peers';
comment on column mirrored_messages.ordinal is 'Which TLV of the message this is, from 0';
comment on column mirrored_messages.type is '0 a BGP message, 1 an information code';
comment on column mirrored_messages.value is 'The BGP message or the code as sent';

select create_hypertable('mirrored_messages', by_range('time', interval '1 day'), create_default_indexes => false);
create index mirrored_messages_time on mirrored_messages (time);

-- Exactly once ------------------------------------------------------------------

create table ingest_offsets (
    topic text not null,
    partition integer not null,
    next_offset bigint not null,
    last_received timestamptz,
    updated timestamptz not null default now(),
    primary key (topic, partition)
) with (fillfactor = 50);
comment on table ingest_offsets is 'How far each partition of the events topic is in the tables. Advanced in the transaction that writes the rows; ingesters start from here, never from Kafka''s group offsets';
comment on column ingest_offsets.topic is 'Kafka topic';
comment on column ingest_offsets.partition is 'Kafka partition';
comment on column ingest_offsets.next_offset is 'Offset of the first record that is not in the tables yet';
comment on column ingest_offsets.last_received is 'Receive time of the latest event that is in the tables';
comment on column ingest_offsets.updated is 'When this row was last advanced, by the database''s clock';

-- For reading ---------------------------------------------------------------------

create view route_log as
select
    e.time,
    e.router_time,
    r.identity as router,
    r.sys_name,
    peer_type_name(p.type) as peer_type,
    distinguisher_text(p.distinguisher) as distinguisher,
    p.address as peer,
    p.asn as peer_asn,
    rib_view_name(e.view) as rib_view,
    family_name(e.afi, e.safi) as family,
    e.action,
    e.initial_dump,
    e.prefix,
    e.path_id,
    e.route_distinguisher,
    e.labels,
    e.next_hop,
    e.origin,
    e.as_path,
    e.origin_as,
    e.med,
    e.local_pref,
    e.communities,
    e.large_communities,
    e.extended_communities,
    e.peer_id,
    e.session,
    e.sequence,
    e.ordinal
from route_events e
join peers p on p.id = e.peer_id
join routers r on r.id = p.router_id;
comment on view route_log is 'route_events with routers, peers, views and families by name: where prefix = … order by time, session, sequence, ordinal is a prefix''s history';

create view peer_status as
select
    r.identity as router,
    r.sys_name,
    peer_type_name(p.type) as peer_type,
    distinguisher_text(p.distinguisher) as distinguisher,
    p.address as peer,
    p.loc_rib_name,
    p.asn,
    p.bgp_id,
    p.up,
    p.since,
    peer_down_reason_name(p.down_reason) as down_reason,
    p.id as peer_id
from peers p
join routers r on r.id = p.router_id;
comment on view peer_status is 'Every peer by name, with what its latest Peer Up or Peer Down said';

create view router_status as
select
    r.identity as router,
    r.sys_name,
    r.sys_descr,
    count(s.session) filter (where s.ended is null) as open_sessions,
    min(s.started) filter (where s.ended is null) as since,
    max(s.ended) as last_ended,
    r.last_heard,
    r.id as router_id
from routers r
left join bmp_sessions s on s.router_id = r.id
group by r.id;
comment on view router_status is 'Every router with the BMP sessions that are not known to have ended';
