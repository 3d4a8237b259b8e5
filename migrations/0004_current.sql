-- What each router holds now, since when, and what each event did to it.

-- A function that is strict and whose body is not is called for each row; these answer
-- null for null anyway, and are then part of the query.
alter function rib_view_name(integer) called on null input;
alter function family_name(integer, integer) called on null input;
alter function peer_type_name(integer) called on null input;
alter function distinguisher_text(bytea) called on null input;
alter function peer_down_reason_name(integer) called on null input;
alter function session_end_name(integer) called on null input;
alter function statistic_name(integer) called on null input;
alter function evpn_route_type_name(integer) called on null input;

-- Who holds a peer ----------------------------------------------------------------

alter table peers add column epoch integer not null default 0;
comment on column peers.epoch is 'The latest epoch, as in peer_epochs; 0 before the first';
comment on column peers.up is 'Some session holds it, or is not known to have ended; null before the first word on it';
comment on column peers.since is 'Receive time of the event that began or ended the epoch';
comment on column peers.session is 'BMP session of that event';
comment on column peers.sequence is 'Number of that event''s message in its session';
comment on column peers.down_reason is 'Where the peer is down, why, see peer_down_reason_name()';

create table peer_holds (
    peer_id integer not null references peers,
    session bigint not null,
    up boolean,
    began timestamptz,
    began_sequence bigint not null,
    peer_sequence bigint not null,
    ended timestamptz,
    end_reason integer,
    primary key (peer_id, session)
) with (fillfactor = 70);
comment on table peer_holds is 'What each BMP session says of each peer: it holds the peer from its Peer Up (or first Route Monitoring, where the router sends none) to its Peer Down or its end';
comment on column peer_holds.peer_id is 'The peer';
comment on column peer_holds.session is 'The BMP session, as in bmp_sessions';
comment on column peer_holds.up is 'It holds the peer; null where it has said neither up nor down';
comment on column peer_holds.began is 'Receive time of the Peer Up';
comment on column peer_holds.began_sequence is 'Messages up to this say nothing of the table that the hold brought';
comment on column peer_holds.peer_sequence is 'Number of the latest event of the peer in the session; 0 where the collector does not count them';
comment on column peer_holds.ended is 'Receive time of the Peer Down; null while it holds';
comment on column peer_holds.end_reason is 'Why it ended, see peer_down_reason_name()';

create table peer_epochs (
    peer_id integer not null references peers,
    epoch integer not null,
    began timestamptz not null,
    session bigint not null,
    sequence bigint not null,
    ended timestamptz,
    end_session bigint,
    end_sequence bigint,
    end_reason integer,
    primary key (peer_id, epoch)
);
comment on table peer_epochs is 'The stretches in which at least one session held a peer. Routes of an ended epoch ended with it';
comment on column peer_epochs.peer_id is 'The peer';
comment on column peer_epochs.epoch is 'Its number, 1 for a peer''s first';
comment on column peer_epochs.began is 'Receive time of the event that began it';
comment on column peer_epochs.session is 'BMP session of that event';
comment on column peer_epochs.sequence is 'Number of that event''s message in its session';
comment on column peer_epochs.ended is 'Receive time of the event that ended it; null while it lasts';
comment on column peer_epochs.end_session is 'BMP session of that event';
comment on column peer_epochs.end_sequence is 'Number of that event''s message in its session';
comment on column peer_epochs.end_reason is 'Why it ended, see peer_down_reason_name(); null where the peer came up again without a Peer Down';

create table rib_dumps (
    peer_id integer not null references peers,
    view smallint not null,
    afi integer not null,
    safi smallint not null,
    session bigint not null,
    sequence bigint not null,
    began timestamptz not null,
    ended timestamptz not null,
    primary key (peer_id, view, afi, safi)
);
comment on table rib_dumps is 'The latest complete dump of each table of a peer. What was last heard before it began is not in the table any more';
comment on column rib_dumps.peer_id is 'The peer';
comment on column rib_dumps.view is 'Which of the peer''s tables, see rib_view_name()';
comment on column rib_dumps.afi is 'Address family, see family_name()';
comment on column rib_dumps.safi is 'Subsequent address family';
comment on column rib_dumps.session is 'The BMP session that dumped it';
comment on column rib_dumps.sequence is 'Messages of that session up to this are from before the dump';
comment on column rib_dumps.began is 'Receive time of the Peer Up before it';
comment on column rib_dumps.ended is 'Receive time of its End-of-RIB or, where there was none, of what showed that it was over';

create table event_gaps (
    peer_id integer not null references peers,
    session bigint not null,
    time timestamptz not null,
    after bigint not null,
    before bigint not null
);
comment on table event_gaps is 'Events that a collector numbered and that the tables do not have';
comment on column event_gaps.peer_id is 'Whose';
comment on column event_gaps.session is 'The BMP session';
comment on column event_gaps.time is 'Receive time of the event behind the gap';
comment on column event_gaps.after is 'Number, among the peer''s events in the session, of the last before the gap';
comment on column event_gaps.before is 'Number of the first behind it';
create index event_gaps_time on event_gaps (time);

-- A collector that was killed cannot say that its sessions ended.
alter table bmp_sessions add column silent_since timestamptz, add column partition integer;
comment on column bmp_sessions.silent_since is 'The last sign of life, where none has come for longer than heartbeats may be apart; the session counts as ended until another comes';
comment on column bmp_sessions.partition is 'The partition of the events topic that has the session''s own events';

-- What an event did ---------------------------------------------------------------

create function changed_parts(changed integer) returns text[]
language sql immutable strict parallel safe
return (
    select coalesce(array_agg(name order by bit), '{}')
    from unnest(array['next_hop', 'nlri', 'origin', 'as_path', 'med', 'local_pref',
        'atomic_aggregate', 'aggregator', 'communities', 'extended_communities',
        'large_communities', 'originator_id', 'cluster_list', 'only_to_customer',
        'other_attributes', 'further_attributes']) with ordinality as part (name, bit)
    where changed >> (bit::integer - 1) & 1 = 1
);
comment on function changed_parts(integer) is
    'Names of what an announcement changed, from the column changed: path attributes, next_hop, and nlri for what of the NLRI does not tell the route from others, as labels';

do $$
declare name text;
begin
    foreach name in array array['route_events', 'evpn_events', 'other_events'] loop
        execute format('alter table %I add column change text, add column changed integer, '
            'add column replaced timestamptz', name);
        execute format($c$comment on column %I.change is 'What it did: new, returned (as it was before the peer went down), changed, refresh (nothing new), withdrawn, withdrawn-unknown (it was not there), unheld (the session had said that the peer is down). null in rows of schema versions before 4'$c$, name);
        execute format($c$comment on column %I.changed is 'Of a change, what is not as it was, a bit each, see changed_parts()'$c$, name);
        execute format($c$comment on column %I.replaced is 'When the version had begun that a change or withdrawal ended: it lasted for time - replaced'$c$, name);
    end loop;
end
$$;

-- What routers hold ---------------------------------------------------------------

create table routes (
    peer_id integer not null,
    key bytea not null,
    time timestamptz not null,
    router_time timestamptz,
    session bigint not null,
    sequence bigint not null,
    ordinal integer not null,
    view smallint not null,
    afi integer not null,
    safi smallint not null,
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
    further_attributes jsonb,
    attribute_errors jsonb,
    reading jsonb
) with (fillfactor = 80);

create table evpn_routes (
    peer_id integer not null,
    key bytea not null,
    time timestamptz not null,
    router_time timestamptz,
    session bigint not null,
    sequence bigint not null,
    ordinal integer not null,
    view smallint not null,
    afi integer not null,
    safi smallint not null,
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
) with (fillfactor = 80);

create table other_routes (
    peer_id integer not null,
    key bytea not null,
    time timestamptz not null,
    router_time timestamptz,
    session bigint not null,
    sequence bigint not null,
    ordinal integer not null,
    view smallint not null,
    afi integer not null,
    safi smallint not null,
    initial_dump boolean not null,
    path_id bigint,
    route_distinguisher text,
    nlri_text text,
    nlri_json jsonb,
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
    further_attributes jsonb,
    attribute_errors jsonb,
    reading jsonb
) with (fillfactor = 80);

do $$
declare
    history text;
    current text;
    attribute record;
begin
    for current, history in
        values ('routes', 'route_events'), ('evpn_routes', 'evpn_events'),
            ('other_routes', 'other_events')
    loop
        execute format('alter table %I add column epoch integer not null, '
            'add column heard timestamptz not null, add column heard_session bigint not null, '
            'add column heard_sequence bigint not null, '
            'add column first_seen timestamptz not null, '
            'add column epoch_seen timestamptz not null, add column withdrawn timestamptz, '
            'add column changes integer not null, add column withdrawals integer not null, '
            'add column state bytea not null, add primary key (peer_id, key)', current);
        -- What the tables share with the history is said once.
        for attribute in
            select h.attname as name, col_description(h.attrelid, h.attnum) as words
            from pg_attribute h
            join pg_attribute c on c.attname = h.attname and c.attrelid = current::regclass
            where h.attrelid = history::regclass and h.attnum > 0 and not h.attisdropped
        loop
            execute format('comment on column %I.%I is %L', current, attribute.name,
                attribute.words);
        end loop;
        execute format($c$comment on column %I.key is 'Ribstream''s own: what tells the route from the others of its peer. View, family, path identifier, NLRI'$c$, current);
        execute format($c$comment on column %I.time is 'Receive time of the announcement that brought this version: since when it is as it is'$c$, current);
        execute format($c$comment on column %I.epoch is 'The epoch of the peer that it was last heard in, as in peer_epochs. Of one that has ended, it ended with it'$c$, current);
        execute format($c$comment on column %I.heard is 'Receive time of the latest announcement, new or not'$c$, current);
        execute format($c$comment on column %I.heard_session is 'BMP session of that announcement'$c$, current);
        execute format($c$comment on column %I.heard_sequence is 'Its message in the session'$c$, current);
        execute format($c$comment on column %I.first_seen is 'Receive time of the first announcement known'$c$, current);
        execute format($c$comment on column %I.epoch_seen is 'Receive time of the first announcement in its epoch'$c$, current);
        execute format($c$comment on column %I.withdrawn is 'Receive time of the withdrawal, where that was the last word'$c$, current);
        execute format($c$comment on column %I.changes is 'How often it was announced otherwise than it was, or anew after a withdrawal, since first_seen'$c$, current);
        execute format($c$comment on column %I.withdrawals is 'How often it was withdrawn since first_seen'$c$, current);
        execute format($c$comment on column %I.state is 'Ribstream''s own: digests of the version''s parts, and which of several sessions tells the news'$c$, current);
    end loop;
end
$$;
comment on table routes is 'The latest known version of every unicast, multicast, labelled and VPN route, with routes that are gone; current_routes has what is current';
comment on table evpn_routes is 'The latest known version of every EVPN route, with routes that are gone; current_evpn_routes has what is current';
comment on table other_routes is 'The latest known version of every route that is neither a prefix nor EVPN, with routes that are gone; current_other_routes has what is current';

create index routes_prefix on routes (prefix);
create index evpn_routes_mac on evpn_routes (mac) where mac is not null;

create view live_peers as
select p.id as peer_id, p.router_id, p.epoch
from peers p
where p.up and exists (
    select from peer_holds h
    left join bmp_sessions s on s.router_id = p.router_id and s.session = h.session
    where h.peer_id = p.id and h.up and s.ended is null and s.silent_since is null
);
comment on view live_peers is 'Peers that a session holds which has not ended and is not silent, with their epoch';

create view current_routes as
select
    ro.identity as router,
    ro.sys_name,
    peer_type_name(p.type) as peer_type,
    distinguisher_text(p.distinguisher) as distinguisher,
    p.address as peer,
    p.asn as peer_asn,
    p.loc_rib_name,
    rib_view_name(r.view) as rib_view,
    family_name(r.afi, r.safi) as family,
    r.prefix,
    r.path_id,
    r.route_distinguisher,
    r.labels,
    r.next_hop,
    r.link_local_next_hop,
    r.origin,
    r.as_path,
    r.origin_as,
    r.med,
    r.local_pref,
    r.atomic_aggregate,
    r.aggregator_asn,
    r.aggregator_address,
    r.communities,
    r.extended_communities,
    r.large_communities,
    r.originator_id,
    r.cluster_list,
    r.only_to_customer,
    r.other_attributes,
    r.further_attributes,
    r.attribute_errors,
    r.reading,
    r.time as since,
    r.heard,
    r.first_seen,
    r.epoch_seen,
    r.changes,
    r.withdrawals,
    r.session,
    r.sequence,
    r.peer_id,
    r.view,
    r.afi,
    r.safi
from routes r
join live_peers l on l.peer_id = r.peer_id and l.epoch = r.epoch
join peers p on p.id = r.peer_id
join routers ro on ro.id = p.router_id
left join rib_dumps d
    on d.peer_id = r.peer_id and d.view = r.view and d.afi = r.afi and d.safi = r.safi
where r.withdrawn is null
    and case when r.heard_session = d.session then r.heard_sequence > d.sequence
        else d.began is null or r.heard >= d.began end;
comment on view current_routes is 'Unicast, multicast, labelled and VPN routes that routers hold now, with routers, peers, views and families by name; since when each is as it is, was first seen ever and in the peer''s epoch, and was last heard';

create view current_evpn_routes as
select
    ro.identity as router,
    ro.sys_name,
    peer_type_name(p.type) as peer_type,
    distinguisher_text(p.distinguisher) as distinguisher,
    p.address as peer,
    p.asn as peer_asn,
    p.loc_rib_name,
    rib_view_name(r.view) as rib_view,
    family_name(r.afi, r.safi) as family,
    r.route_type,
    evpn_route_type_name(r.route_type) as route_type_name,
    r.prefix,
    r.path_id,
    r.route_distinguisher,
    r.esi,
    r.ethernet_tag,
    r.mac,
    r.ip,
    r.gateway,
    r.labels,
    r.vnis,
    r.originator,
    r.source,
    r.multicast_group,
    r.flags,
    r.leave_synchronization,
    r.maximum_response_time,
    r.region,
    r.route_key,
    r.nlri_text,
    r.nlri,
    r.next_hop,
    r.link_local_next_hop,
    r.origin,
    r.as_path,
    r.origin_as,
    r.med,
    r.local_pref,
    r.atomic_aggregate,
    r.aggregator_asn,
    r.aggregator_address,
    r.communities,
    r.extended_communities,
    r.large_communities,
    r.originator_id,
    r.cluster_list,
    r.only_to_customer,
    r.other_attributes,
    r.further_attributes,
    r.attribute_errors,
    r.reading,
    r.time as since,
    r.heard,
    r.first_seen,
    r.epoch_seen,
    r.changes,
    r.withdrawals,
    r.session,
    r.sequence,
    r.peer_id,
    r.view,
    r.afi,
    r.safi
from evpn_routes r
join live_peers l on l.peer_id = r.peer_id and l.epoch = r.epoch
join peers p on p.id = r.peer_id
join routers ro on ro.id = p.router_id
left join rib_dumps d
    on d.peer_id = r.peer_id and d.view = r.view and d.afi = r.afi and d.safi = r.safi
where r.withdrawn is null
    and case when r.heard_session = d.session then r.heard_sequence > d.sequence
        else d.began is null or r.heard >= d.began end;
comment on view current_evpn_routes is 'EVPN routes that routers hold now, with routers, peers, views and families by name; since when each is as it is, was first seen ever and in the peer''s epoch, and was last heard';

create view current_other_routes as
select
    ro.identity as router,
    ro.sys_name,
    peer_type_name(p.type) as peer_type,
    distinguisher_text(p.distinguisher) as distinguisher,
    p.address as peer,
    p.asn as peer_asn,
    p.loc_rib_name,
    rib_view_name(r.view) as rib_view,
    family_name(r.afi, r.safi) as family,
    r.path_id,
    r.route_distinguisher,
    r.nlri_text,
    r.nlri_json,
    r.nlri,
    r.next_hop_raw,
    r.next_hop,
    r.link_local_next_hop,
    r.origin,
    r.as_path,
    r.origin_as,
    r.med,
    r.local_pref,
    r.atomic_aggregate,
    r.aggregator_asn,
    r.aggregator_address,
    r.communities,
    r.extended_communities,
    r.large_communities,
    r.originator_id,
    r.cluster_list,
    r.only_to_customer,
    r.other_attributes,
    r.further_attributes,
    r.attribute_errors,
    r.reading,
    r.time as since,
    r.heard,
    r.first_seen,
    r.epoch_seen,
    r.changes,
    r.withdrawals,
    r.session,
    r.sequence,
    r.peer_id,
    r.view,
    r.afi,
    r.safi
from other_routes r
join live_peers l on l.peer_id = r.peer_id and l.epoch = r.epoch
join peers p on p.id = r.peer_id
join routers ro on ro.id = p.router_id
left join rib_dumps d
    on d.peer_id = r.peer_id and d.view = r.view and d.afi = r.afi and d.safi = r.safi
where r.withdrawn is null
    and case when r.heard_session = d.session then r.heard_sequence > d.sequence
        else d.began is null or r.heard >= d.began end;
comment on view current_other_routes is 'Routes that are neither prefixes nor EVPN that routers hold now, with routers, peers, views and families by name; since when each is as it is, was first seen ever and in the peer''s epoch, and was last heard';

-- For reading ---------------------------------------------------------------------

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
    e.reading,
    e.change,
    e.changed,
    e.replaced
from route_events e
join peers p on p.id = e.peer_id
join routers r on r.id = p.router_id;

create or replace view evpn_log as
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
    e.ordinal,
    e.change,
    e.changed,
    e.replaced
from evpn_events e
join peers p on p.id = e.peer_id
join routers r on r.id = p.router_id;

create or replace view other_log as
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
    e.ordinal,
    e.change,
    e.changed,
    e.replaced
from other_events e
join peers p on p.id = e.peer_id
join routers r on r.id = p.router_id;
