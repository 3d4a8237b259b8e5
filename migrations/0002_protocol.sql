-- Routes of every family, and what BMP messages say beside them: EVPN routes in a
-- table of their own, one row a route in other_events, attributes decoded.

-- Attributes ------------------------------------------------------------------

alter table route_events add column further_attributes jsonb;
alter table other_events add column further_attributes jsonb;

comment on column route_events.extended_communities is 'EXTENDED_COMMUNITIES (RFC 4360) in the order sent, behind them the IPv6 address specific ones (RFC 5701), each in its usual text, as rt:65001:7, or as 0x and hexadecimal digits where its type is not known. Rows that schema version 1 wrote have 16 hexadecimal digits without 0x';
comment on column route_events.other_attributes is 'Path attributes that are not decoded: type, flags, and value as hexadecimal digits';
comment on column route_events.further_attributes is 'Decoded path attributes that have no column of their own, by name: pmsi_tunnel (RFC 6514), tunnel_encapsulation (RFC 9012), aigp (RFC 7311), prefix_sid (RFC 8669, RFC 9252), attr_set (RFC 6368), bfd_discriminator (RFC 9026), domain_path (D-PATH), link_state (RFC 9552). bmp_tlvs, of withdrawals too: the TLVs that BMP version 4 has beside the UPDATE, such as path_marking, with the index of the NLRI that they speak of';

-- Families that are neither prefixes nor EVPN -----------------------------------

alter table other_events
    add column path_id bigint,
    add column route_distinguisher text,
    add column nlri_text text,
    add column nlri_json jsonb;

comment on table other_events is 'Every announcement and withdrawal of a route that is neither a prefix nor EVPN: flow specification, route target membership, MVPN, MDT, VPLS, MUP, SR policy, BGP-LS. One row for each NLRI; in a family that is not known, and in EVPN before schema version 2, one for each NLRI field';
comment on column other_events.ordinal is 'Which row of the message this is, from 0; counted together with route_events and evpn_events';
comment on column other_events.path_id is 'Path identifier (RFC 7911); null where the NLRI had none';
comment on column other_events.route_distinguisher is 'Route Distinguisher (RFC 4364, 4.2), as 65001:7; 0 where it is zero, null where the family has none';
comment on column other_events.nlri is 'The NLRI as sent, without its path identifier; the whole NLRI field, which may hold several routes, where nlri_text is null';
comment on column other_events.nlri_text is 'The NLRI as a router would print it; its hexadecimal digits where it could not be decoded, null where its family is not known';
comment on column other_events.nlri_json is 'The NLRI as a structure, whose form depends on the family; null where it could not be decoded';
comment on column other_events.extended_communities is 'EXTENDED_COMMUNITIES as in route_events';
comment on column other_events.other_attributes is 'Path attributes that are not decoded, as in route_events';
comment on column other_events.further_attributes is 'Decoded path attributes that have no column of their own, as in route_events';

create index other_events_family on other_events (afi, safi, time);

-- EVPN ----------------------------------------------------------------------------

create table evpn_events (
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
    route_type integer not null,
    path_id bigint,
    route_distinguisher text,
    esi text,
    ethernet_tag bigint,
    mac macaddr,
    ip inet,
    prefix cidr,
    gateway inet,
    labels integer[],
    vnis integer[],
    originator inet,
    source inet,
    multicast_group inet,
    flags integer,
    leave_synchronization bigint,
    maximum_response_time bigint,
    region bytea,
    route_key bytea,
    nlri_text text not null,
    nlri bytea not null,
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
    further_attributes jsonb,
    attribute_errors jsonb,
    reading jsonb
);
comment on table evpn_events is 'Every announcement and withdrawal of an EVPN route, as received, with its path attributes. What a route''s type does not have is null; where all is null but the type, the NLRI could not be decoded';
comment on column evpn_events.time is 'When the collector received the message';
comment on column evpn_events.router_time is 'The router''s own timestamp; null where it gave none';
comment on column evpn_events.session is 'BMP session, as in bmp_sessions';
comment on column evpn_events.sequence is 'Which message of the session this is';
comment on column evpn_events.peer_id is 'The peer, as in peers';
comment on column evpn_events.ordinal is 'Which row of the message this is, from 0; counted together with route_events and other_events';
comment on column evpn_events.afi is 'Address family, see family_name()';
comment on column evpn_events.safi is 'Subsequent address family';
comment on column evpn_events.view is 'Which of the peer''s tables, see rib_view_name()';
comment on column evpn_events.action is 'announce or withdraw. A withdrawal has no attributes';
comment on column evpn_events.initial_dump is 'The message restates a table (the dump that follows a Peer Up), it is not news';
comment on column evpn_events.route_type is 'EVPN route type, see evpn_route_type_name()';
comment on column evpn_events.path_id is 'Path identifier (RFC 7911); null where the NLRI had none';
comment on column evpn_events.route_distinguisher is 'Route Distinguisher (RFC 4364, 4.2), as 65001:7. All types but 11';
comment on column evpn_events.esi is 'Ethernet Segment Identifier, ten octets with colons, the first of which is its type (RFC 7432, 5). Types 1, 2, 4, 5, 7 and 8';
comment on column evpn_events.ethernet_tag is 'Ethernet Tag ID. Types 1, 2, 3 and 5 to 10';
comment on column evpn_events.mac is 'MAC address. Type 2';
comment on column evpn_events.ip is 'IP address of the host; null where the route has a MAC alone. Type 2';
comment on column evpn_events.prefix is 'IP prefix (RFC 9136). Type 5';
comment on column evpn_events.gateway is 'Gateway IP address; null where it is zero. Type 5';
comment on column evpn_events.labels is 'MPLS labels of types 1, 2 and 5 in the order sent; null where they are VNIs, and for withdrawals';
comment on column evpn_events.vnis is 'Virtual network identifiers in the place of the labels, where the announcement''s encapsulation has such (RFC 8365, 5.1.3)';
comment on column evpn_events.originator is 'Originating router''s address. Types 3, 4, 6 to 8, 10 and 11';
comment on column evpn_events.source is 'Multicast source; null for any. Types 6 to 8 and 10';
comment on column evpn_events.multicast_group is 'Multicast group; null for any. Types 6 to 8 and 10';
comment on column evpn_events.flags is 'Flags of types 6 to 8 as sent (RFC 9251, 9)';
comment on column evpn_events.leave_synchronization is 'Leave group synchronization number. Type 8';
comment on column evpn_events.maximum_response_time is 'Maximum response time as sent. Type 8';
comment on column evpn_events.region is 'Region ID, eight bytes (RFC 9572, 3.1). Type 9';
comment on column evpn_events.route_key is 'The NLRI of the route that the leaf answers, as sent. Type 11';
comment on column evpn_events.nlri_text is 'The route as routers print it, its distinguisher and the fields that tell it from others, as 65001:7 [2]:[0]:[48]:[02:00:00:00:00:01]; the type and the hexadecimal digits of the NLRI where it could not be decoded';
comment on column evpn_events.nlri is 'The NLRI as sent, without its path identifier, from its type on';
comment on column evpn_events.next_hop is 'The next hop that belongs to the route: of most types the VTEP or PE';
comment on column evpn_events.link_local_next_hop is 'The link-local address of a 32 byte next hop (RFC 2545, 3)';
comment on column evpn_events.origin is 'ORIGIN: igp, egp or incomplete';
comment on column evpn_events.as_path is 'AS_PATH as in route_events';
comment on column evpn_events.origin_as is 'The last AS of the path, as in route_events';
comment on column evpn_events.med is 'MULTI_EXIT_DISC';
comment on column evpn_events.local_pref is 'LOCAL_PREF';
comment on column evpn_events.atomic_aggregate is 'ATOMIC_AGGREGATE was present';
comment on column evpn_events.aggregator_asn is 'AS number of AGGREGATOR';
comment on column evpn_events.aggregator_address is 'Address of AGGREGATOR';
comment on column evpn_events.communities is 'COMMUNITIES as in route_events';
comment on column evpn_events.extended_communities is 'EXTENDED_COMMUNITIES as in route_events: route targets, encapsulation, MAC mobility, router''s MAC and others';
comment on column evpn_events.large_communities is 'LARGE_COMMUNITY as in route_events';
comment on column evpn_events.originator_id is 'ORIGINATOR_ID (RFC 4456)';
comment on column evpn_events.cluster_list is 'CLUSTER_LIST (RFC 4456) in the order sent';
comment on column evpn_events.only_to_customer is 'Only to Customer (RFC 9234)';
comment on column evpn_events.other_attributes is 'Path attributes that are not decoded, as in route_events';
comment on column evpn_events.further_attributes is 'Decoded path attributes that have no column of their own, as in route_events';
comment on column evpn_events.attribute_errors is 'What RFC 7606 made of malformed attributes, as in route_events';
comment on column evpn_events.reading is 'What is unusual in how the message was read, as in route_events';

select create_hypertable('evpn_events', by_range('time', interval '1 day'), create_default_indexes => false);
create index evpn_events_time on evpn_events (time);
-- A route has a MAC or a prefix, never both: no row is in more than one of these.
create index evpn_events_mac on evpn_events (mac, time) where mac is not null;
create index evpn_events_prefix on evpn_events (prefix, time) where prefix is not null;

-- Peers, sessions, mirrored messages ------------------------------------------------

alter table peer_events
    add column shutdown_communication text,
    add column notification_enclosed jsonb;

comment on column peer_events.notification_code is 'Error code of the NOTIFICATION (RFC 4271, 4.5), see notification_code_name()';
comment on column peer_events.notification_subcode is 'Error subcode of the NOTIFICATION, see notification_subcode_name()';
comment on column peer_events.shutdown_communication is 'What an operator had to say to a Cease (RFC 9003), also inside of a Hard Reset; null where none was sent';
comment on column peer_events.notification_enclosed is 'The NOTIFICATION inside of a Hard Reset (RFC 8538, 3.1)';
comment on column peer_events.fsm_event is 'Of a Peer Down of reason 2, the FSM event (RFC 4271, 8.1), see fsm_event_name()';
comment on column peer_events.sent_open is 'Of a Peer Up, the OPEN that the router sent, with its capabilities, see capability_name()';
comment on column peer_events.information is 'Information TLVs: type, name where the type has one, and value as text, or as 0x and digits where it is not printable';
comment on column peer_events.data is 'Of a Peer Down, what follows the reason and is not decoded; of a Peer Up, what follows the last TLV that could be read';

comment on column bmp_sessions.information is 'All Information TLVs of the Initiation: type, name where the type has one, and value as text, or as 0x and digits where it is not printable';
comment on column bmp_sessions.end_information is 'All Information TLVs of the Termination (RFC 7854, 4.5). That of type 1 is a number of two bytes, see termination_reason_name()';

comment on column stats_reports.type is 'Statistic type, see statistic_name() and statistic_unit()';

alter table mirrored_messages
    add column message_type smallint,
    add column decoded jsonb,
    add column information integer;

comment on column mirrored_messages.message_type is 'Type of the BGP message: 1 OPEN, 2 UPDATE, 3 NOTIFICATION, 4 KEEPALIVE, 5 ROUTE-REFRESH';
comment on column mirrored_messages.decoded is 'The BGP message as a structure; error where it could not be decoded';
comment on column mirrored_messages.information is 'Of type 1, the information code: 0 errored PDU, 1 messages lost';

-- For reading ---------------------------------------------------------------------

create function evpn_route_type_name(route_type integer) returns text
language sql immutable strict parallel safe
return case route_type
    when 1 then 'ethernet-auto-discovery'
    when 2 then 'mac-ip-advertisement'
    when 3 then 'inclusive-multicast'
    when 4 then 'ethernet-segment'
    when 5 then 'ip-prefix'
    when 6 then 'selective-multicast'
    when 7 then 'multicast-join-synch'
    when 8 then 'multicast-leave-synch'
    when 9 then 'per-region-i-pmsi'
    when 10 then 's-pmsi'
    when 11 then 'leaf'
    else route_type::text
end;
comment on function evpn_route_type_name(integer) is
    'Name of an EVPN route type (RFC 7432, RFC 9136, RFC 9251, RFC 9572); the number itself where it has no name';

create or replace view route_log as
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
    e.ordinal,
    e.only_to_customer,
    e.further_attributes,
    e.other_attributes,
    e.attribute_errors,
    e.reading
from route_events e
join peers p on p.id = e.peer_id
join routers r on r.id = p.router_id;

create view evpn_log as
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
    evpn_route_type_name(e.route_type) as route_type,
    e.path_id,
    e.route_distinguisher,
    e.esi,
    e.ethernet_tag,
    e.mac,
    e.ip,
    e.prefix,
    e.gateway,
    e.labels,
    e.vnis,
    e.originator,
    e.source,
    e.multicast_group,
    e.nlri_text,
    e.next_hop,
    e.origin,
    e.as_path,
    e.origin_as,
    e.med,
    e.local_pref,
    e.communities,
    e.large_communities,
    e.extended_communities,
    e.further_attributes,
    e.other_attributes,
    e.attribute_errors,
    e.reading,
    e.peer_id,
    e.session,
    e.sequence,
    e.ordinal
from evpn_events e
join peers p on p.id = e.peer_id
join routers r on r.id = p.router_id;
comment on view evpn_log is 'evpn_events with routers, peers, views, families and route types by name: where mac = … order by time, session, sequence, ordinal is a MAC address''s history';

create view other_log as
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
    e.route_distinguisher,
    e.path_id,
    e.nlri_text,
    e.nlri_json,
    e.nlri,
    e.next_hop,
    e.origin,
    e.as_path,
    e.origin_as,
    e.med,
    e.local_pref,
    e.communities,
    e.large_communities,
    e.extended_communities,
    e.further_attributes,
    e.other_attributes,
    e.attribute_errors,
    e.reading,
    e.peer_id,
    e.session,
    e.sequence,
    e.ordinal
from other_events e
join peers p on p.id = e.peer_id
join routers r on r.id = p.router_id;
comment on view other_log is 'other_events with routers, peers, views and families by name';
