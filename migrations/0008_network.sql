-- The network as its routes show it: EVPN, and how tables grow.

-- EVPN --------------------------------------------------------------------------------

create function mac_mobility(extended_communities text[]) returns bigint
language sql immutable parallel safe
return (
    select max(substring(c from '^mac-mobility:(\d+)')::bigint)
    from unnest(extended_communities) as c
);
comment on function mac_mobility(text[]) is
    'The sequence number of the MAC Mobility extended community (RFC 7432, 7.7); null where there is none';

create function evpn_history(
    of_mac macaddr,
    since timestamptz default '-infinity',
    until timestamptz default 'infinity'
) returns table (
    "time" timestamptz,
    router text,
    peer inet,
    rib_view text,
    route_distinguisher text,
    ethernet_tag bigint,
    vni integer,
    ip inet,
    change text,
    parts text[],
    next_hop inet,
    esi text,
    mobility bigint,
    lasted interval,
    peer_id integer
)
language sql stable parallel safe rows 100
as $$
    select e.time, ro.identity, p.address, rib_view_name(e.view), e.route_distinguisher,
        e.ethernet_tag, coalesce(e.vnis[1], e.labels[1]), e.ip, e.change,
        changed_parts(e.changed), e.next_hop, e.esi, mac_mobility(e.extended_communities),
        e.time - e.replaced, e.peer_id
    from evpn_events e
    join peers p on p.id = e.peer_id
    join routers ro on ro.id = p.router_id
    where e.mac = of_mac and e.time >= evpn_history.since and e.time < evpn_history.until
    order by e.time, e.session, e.sequence, e.ordinal
$$;
comment on function evpn_history(macaddr, timestamptz, timestamptz) is
    'Every event of a MAC address: what it did, where the address was, and how long the version had lasted that it ended';

-- As rib_at(), without looks into an index, which no column of all route types has: EVPN
-- tables are small beside those of prefixes.
create function evpn_rib_at(
    moment timestamptz,
    of_router text default null,
    of_peer inet default null,
    of_view text default null
) returns table (
    router text,
    peer_type text,
    distinguisher text,
    peer inet,
    peer_asn bigint,
    rib_view text,
    route_type integer,
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
    nlri_text text,
    next_hop inet,
    as_path text,
    extended_communities text[],
    since timestamptz,
    peer_id integer,
    view smallint
)
language sql stable parallel safe rows 10000
as $$
    with live as materialized (
        select l.*, ro.identity, p.type, p.distinguisher, p.address, p.asn
        from epochs_at(moment) l
        join peers p on p.id = l.peer_id
        join routers ro on ro.id = l.router_id
        where (of_router is null or ro.identity = of_router)
            and (of_peer is null or p.address = of_peer)
    ), last_dump as materialized (
        select distinct on (d.peer_id, d.view) d.*
        from dump_events d
        where d.afi = 25 and d.safi = 70 and d.time <= moment
            and d.peer_id = any (array(select l.peer_id from live l))
            and d.began > (select l.began from live l where l.peer_id = d.peer_id)
        order by d.peer_id, d.view, d.began desc, d.time desc
    ), heard as materialized (
        -- The first word on each route since such a dump began.
        select distinct on (e.nlri_text, e.peer_id, e.view, e.path_id)
            e.nlri_text, e.peer_id, e.view, e.path_id,
            e.change = 'refresh' or e.replaced is not null as stayed
        from last_dump d
        join evpn_events e on e.peer_id = d.peer_id and e.view = d.view and e.time >= d.began
        join live l on l.peer_id = e.peer_id
        where e.change <> 'unheld' and (l.ended is null or e.time < l.ended)
        order by e.nlri_text, e.peer_id, e.view, e.path_id, e.time, e.session, e.sequence,
            e.ordinal
    ), version as (
        -- As it is, since before the moment, or what the last word before the moment was.
        select distinct on (v.nlri_text, v.peer_id, v.view, v.path_id) v.*
        from (
            select r.peer_id, r.view, r.route_type, r.path_id, r.route_distinguisher, r.esi,
                r.ethernet_tag, r.mac, r.ip, r.prefix, r.gateway, r.labels, r.vnis,
                r.originator, r.nlri_text, r.next_hop, r.as_path, r.extended_communities,
                r.time, r.session, r.sequence, r.ordinal,
                case when r.heard_session = d.session then r.heard_sequence > d.sequence
                    else d.began is null or r.heard >= d.began end as there, true as known
            from evpn_routes r
            join live l on l.peer_id = r.peer_id and l.epoch = r.epoch
            left join last_dump d on d.peer_id = r.peer_id and d.view = r.view
            where l.latest and r.time <= moment
                and (r.withdrawn is null or r.withdrawn > moment)
                and (of_view is null or rib_view_name(r.view) = of_view)
            union all
            select e.peer_id, e.view, e.route_type, e.path_id, e.route_distinguisher, e.esi,
                e.ethernet_tag, e.mac, e.ip, e.prefix, e.gateway, e.labels, e.vnis,
                e.originator, e.nlri_text, e.next_hop, e.as_path, e.extended_communities,
                e.time, e.session, e.sequence, e.ordinal, e.action = 'announce', false
            from evpn_events e
            where e.time <= moment and e.time >= (select min(l.began) from live l)
                and e.peer_id = any (array(select l.peer_id from live l))
                and e.change in ('new', 'returned', 'changed', 'withdrawn', 'withdrawn-unknown')
                and (of_view is null or rib_view_name(e.view) = of_view)
        ) v
        order by v.nlri_text, v.peer_id, v.view, v.path_id, v.known desc, v.time desc,
            v.session desc, v.sequence desc, v.ordinal desc
    )
    select l.identity, peer_type_name(l.type), distinguisher_text(l.distinguisher), l.address,
        l.asn, rib_view_name(v.view), v.route_type, v.path_id, v.route_distinguisher, v.esi,
        v.ethernet_tag, v.mac, v.ip, v.prefix, v.gateway, v.labels, v.vnis, v.originator,
        v.nlri_text, v.next_hop, v.as_path, v.extended_communities, v.time, v.peer_id, v.view
    from version v
    join live l on l.peer_id = v.peer_id
    left join last_dump d on d.peer_id = v.peer_id and d.view = v.view
        and case when v.session = d.session then v.sequence <= d.sequence
            else v.time < d.began end
    left join heard h on h.nlri_text = v.nlri_text and h.peer_id = v.peer_id
        and h.view = v.view and coalesce(h.path_id, -1) = coalesce(v.path_id, -1)
    where v.there and v.time >= l.began
        and (v.known or d.began is null or coalesce(h.stayed, true))
$$;
comment on function evpn_rib_at(timestamptz, text, inet, text) is
    'The EVPN routes that peers'' tables held at a moment, as rib_at() for prefixes';

create function evpn_mac_moves(since timestamptz, until timestamptz default 'infinity')
returns table (
    "time" timestamptz,
    router text,
    peer inet,
    rib_view text,
    mac macaddr,
    ethernet_tag bigint,
    vni integer,
    was inet,
    next_hop inet,
    esi text,
    mobility bigint,
    after interval,
    peer_id integer
)
language sql stable parallel safe rows 1000
as $$
    -- A move is told by another VTEP's route with another distinguisher, and perhaps of
    -- another peer: what counts is where the address was last announced to be in the table.
    with said as (
        select e.time, e.session, e.sequence, e.ordinal, e.peer_id, p.router_id, e.view, e.mac,
            e.ethernet_tag, coalesce(e.vnis[1], e.labels[1]) as vni, e.next_hop, e.esi,
            mac_mobility(e.extended_communities) as mobility,
            lag(e.next_hop) over macs as was, lag(e.esi) over macs as was_esi,
            lag(e.time) over macs as was_time
        from evpn_events e
        join peers p on p.id = e.peer_id
        where e.time >= evpn_mac_moves.since and e.time < evpn_mac_moves.until and e.route_type = 2
            and e.change in ('new', 'returned', 'changed')
        window macs as (
            partition by p.router_id, e.view, e.mac, e.ethernet_tag,
                coalesce(e.vnis[1], e.labels[1])
            order by e.time, e.session, e.sequence, e.ordinal)
    )
    select s.time, ro.identity, p.address, rib_view_name(s.view), s.mac, s.ethernet_tag, s.vni,
        s.was, s.next_hop, s.esi, s.mobility, s.time - s.was_time, s.peer_id
    from said s
    join peers p on p.id = s.peer_id
    join routers ro on ro.id = s.router_id
    where s.next_hop <> s.was
        -- On one Ethernet segment it is at several VTEPs at once.
        and (s.esi <> s.was_esi or s.esi is null or s.esi = '00:00:00:00:00:00:00:00:00:00')
$$;
comment on function evpn_mac_moves(timestamptz, timestamptz) is
    'MAC addresses that a router heard of at another VTEP than before in the same Ethernet tag and VNI, unless both are on one Ethernet segment; after is how long it was heard of where it was';

create view evpn_duplicate_macs as
select c.router, c.rib_view, c.mac, c.ethernet_tag, coalesce(c.vnis[1], c.labels[1]) as vni,
    array_agg(distinct c.next_hop order by c.next_hop) as vteps,
    array_agg(distinct c.ip order by c.ip) filter (where c.ip is not null) as ips,
    max(mac_mobility(c.extended_communities)) as mobility,
    max(c.since) as since
from current_evpn_routes c
where c.route_type = 2 and (c.esi is null or c.esi = '00:00:00:00:00:00:00:00:00:00')
group by c.router, c.rib_view, c.mac, c.ethernet_tag, coalesce(c.vnis[1], c.labels[1])
having count(distinct c.next_hop) > 1;
comment on view evpn_duplicate_macs is 'MAC addresses that a router has from more than one VTEP at once in the same Ethernet tag and VNI, and that are on no Ethernet segment which would explain it';

create view evpn_vteps as
select c.router, c.rib_view, c.next_hop as vtep,
    count(*) filter (where c.route_type = 2) as mac_routes,
    count(distinct c.mac) as macs,
    count(*) filter (where c.route_type = 3) as multicast_routes,
    count(*) filter (where c.route_type = 5) as prefixes,
    count(distinct c.vni) as vnis,
    array_agg(distinct c.vni order by c.vni) filter (where c.vni is not null) as vni_list
from (
    select c.*, coalesce(c.vnis[1], c.labels[1],
        (c.further_attributes->'pmsi_tunnel'->>'vni')::integer,
        (c.further_attributes->'pmsi_tunnel'->>'label')::integer) as vni
    from current_evpn_routes c
) c
where c.next_hop is not null
group by c.router, c.rib_view, c.next_hop;
comment on view evpn_vteps is 'VTEPs and PEs, which are the next hops of current EVPN routes, with what is behind each';

create view evpn_segments as
select c.router, c.rib_view, c.esi,
    array_agg(distinct c.originator order by c.originator)
        filter (where c.route_type = 4 and c.originator is not null) as members,
    count(distinct c.next_hop) filter (where c.route_type = 1) as auto_discovery,
    count(distinct c.mac) filter (where c.route_type = 2) as macs
from current_evpn_routes c
where c.esi is not null and c.esi <> '00:00:00:00:00:00:00:00:00:00'
group by c.router, c.rib_view, c.esi;
comment on view evpn_segments is 'Ethernet segments: the routers that say they are members (type 4), how many next hops announce it (type 1), and how many MAC addresses are on it';

create view evpn_vnis as
select c.router, c.rib_view, c.vni,
    count(distinct c.mac) as macs,
    count(distinct c.ip) filter (where c.route_type = 2) as hosts,
    count(distinct c.prefix) as prefixes,
    count(distinct c.next_hop) as vteps,
    count(*) as routes
from (
    select c.*, coalesce(c.vnis[1], c.labels[1],
        (c.further_attributes->'pmsi_tunnel'->>'vni')::integer,
        (c.further_attributes->'pmsi_tunnel'->>'label')::integer) as vni
    from current_evpn_routes c
) c
where c.vni is not null
group by c.router, c.rib_view, c.vni;
comment on view evpn_vnis is 'Virtual networks by VNI, or by MPLS label where there are such: MAC addresses, hosts, prefixes and VTEPs of each';

-- Growth ------------------------------------------------------------------------------

create function table_growth(
    since timestamptz,
    until timestamptz,
    step interval default '1 day',
    of_router text default null,
    of_peer inet default null,
    of_view text default null
) returns table (
    "time" timestamptz,
    router text,
    peer inet,
    rib_view text,
    family text,
    length integer,
    prefixes bigint,
    routes bigint,
    peer_id integer
)
language sql stable parallel safe rows 1000
as $$
    select moment, r.router, r.peer, r.rib_view, r.family, masklen(r.prefix),
        count(distinct r.prefix), count(*), r.peer_id
    from generate_series(since, until, step) as moment
    cross join lateral rib_at(moment, of_router, of_peer, of_view) r
    group by moment, r.router, r.peer, r.rib_view, r.family, masklen(r.prefix), r.peer_id
$$;
comment on function table_growth(timestamptz, timestamptz, interval, text, inet, text) is
    'How many prefixes and routes of each length the tables of peers held at each moment from since to until, a step apart. Each moment costs a rib_at()';

create view prefix_lengths as
select ro.identity as router, p.address as peer, rib_view_name(c.view) as rib_view,
    family_name(c.afi, c.safi) as family, c.length, c.routes, c.peer_id
from (
    select c.peer_id, c.view, c.afi, c.safi, masklen(c.prefix) as length, count(*) as routes
    from current_routes c
    group by c.peer_id, c.view, c.afi, c.safi, masklen(c.prefix)
) c
join peers p on p.id = c.peer_id
join routers ro on ro.id = p.router_id;
comment on view prefix_lengths is 'How many routes of each prefix length the tables of peers hold now';
