-- What `make demo` shows of the latest session of each router.
\pset null '-'
\pset footer off
set timezone = 'UTC';

create temporary view latest as
select router_id, max(session) as session from bmp_sessions group by router_id;

\echo
\echo '-- Routers'
select r.identity as router, s.sys_name, left(s.sys_descr, 32) as sys_descr,
    s.started::timestamptz(0) as started, s.ended is null as open
from latest
join bmp_sessions s using (router_id, session)
join routers r on r.id = router_id
order by router;

\echo '-- Peers, and why those are down that are'
select router, peer_type, peer, asn, bgp_id, up, down_reason
from peer_status
order by router, peer_type, peer, asn;

\echo '-- Routes received, by view and family'
with events as (
    select session, peer_id, view, afi, safi, action,
        concat_ws(' ', route_distinguisher, prefix) as nlri from route_events
    union all
    select session, peer_id, view, afi, safi, action, nlri_text from evpn_events
    union all
    select session, peer_id, view, afi, safi, action,
        concat_ws(' ', route_distinguisher, coalesce(nlri_text, encode(nlri, 'hex')))
        from other_events
)
select r.identity as router, rib_view_name(e.view) as rib_view, family_name(e.afi, e.safi) as family,
    count(*) filter (where e.action = 'announce') as announced,
    count(*) filter (where e.action = 'withdraw') as withdrawn,
    count(distinct e.nlri) as routes
from events e
join peers p on p.id = e.peer_id
join latest on latest.router_id = p.router_id and latest.session = e.session
join routers r on r.id = p.router_id
group by 1, 2, 3
order by 1, 2, 3;

\echo '-- What each event of the history did'
select r.identity as router, e.change, count(*) as events,
    count(*) filter (where e.initial_dump) as in_initial_dumps
from (
    select peer_id, session, change, initial_dump from route_events
    union all
    select peer_id, session, change, initial_dump from evpn_events
    union all
    select peer_id, session, change, initial_dump from other_events
) e
join peers p on p.id = e.peer_id
join latest on latest.router_id = p.router_id and latest.session = e.session
join routers r on r.id = p.router_id
group by 1, 2
order by 1, 2;

\echo '-- What the routers hold now'
select router, rib_view, family, count(*) as routes
from (
    select router, rib_view, family from current_routes
    union all
    select router, rib_view, family from current_evpn_routes
    union all
    select router, rib_view, family from current_other_routes
) c
group by 1, 2, 3
order by 1, 2, 3;

\echo '-- Some of it, with its history in a few numbers'
select router, rib_view, coalesce(host(peer), 'loc-rib') as peer, prefix, next_hop, as_path,
    changes, withdrawals, date_trunc('second', heard - first_seen) as known_for
from current_routes
where family = 'ipv4-unicast'
order by changes desc, router, rib_view, peer, prefix
limit 8;

\echo '-- EVPN: the first routes of each type'
with numbered as (
    select l.*, row_number() over (
        partition by l.route_type order by l.session, l.sequence, l.ordinal) as number
    from evpn_log l
    join peers p on p.id = l.peer_id
    join latest on latest.router_id = p.router_id and latest.session = l.session
    where l.action = 'announce' and l.rib_view = 'adj-rib-in-pre'
)
select route_type, nlri_text as route, coalesce(vnis, labels) as labels, next_hop,
    array_to_string(extended_communities, ' ') as extended_communities
from numbered where number <= 2
order by route_type, number;

\echo '-- Flow specifications and other routes: some of each family'
with numbered as (
    select l.*, row_number() over (
        partition by l.family order by l.session, l.sequence, l.ordinal) as number
    from other_log l
    join peers p on p.id = l.peer_id
    join latest on latest.router_id = p.router_id and latest.session = l.session
    where l.action = 'announce' and l.rib_view = 'adj-rib-in-pre'
)
select family, route_distinguisher as rd, left(nlri_text, 80) as route,
    array_to_string(extended_communities, ' ') as extended_communities
from numbered where number <= 3
order by family, number;

\echo '-- The most unstable prefixes: changes after the initial dump'
select r.identity as router, e.prefix, count(*) as changes,
    count(*) filter (where e.action = 'withdraw') as withdrawals,
    count(distinct e.as_path) as paths, count(distinct e.peer_id) as peers
from route_events e
join peers p on p.id = e.peer_id
join latest on latest.router_id = p.router_id and latest.session = e.session
join routers r on r.id = p.router_id
where not e.initial_dump
group by 1, 2
order by changes desc, router, prefix
limit 8;

\echo '-- The history of the first of them, as its first peer saw it'
with unstable as (
    select e.prefix, e.session
    from route_events e
    join peers p on p.id = e.peer_id
    join latest on latest.router_id = p.router_id and latest.session = e.session
    where not e.initial_dump
    group by e.prefix, e.session
    order by count(*) desc, e.prefix
    limit 1
), first_peer as (
    select e.prefix, e.session, min(e.peer_id) as peer_id
    from route_events e join unstable u on u.prefix = e.prefix and u.session = e.session
    group by e.prefix, e.session
)
select l.prefix, l.peer, l.rib_view, l.router_time::timestamptz(3) as router_time, l.action,
    l.next_hop, l.as_path, l.communities
from route_log l
join first_peer f on f.prefix = l.prefix and f.session = l.session and f.peer_id = l.peer_id
order by l.sequence, l.ordinal
limit 12;
