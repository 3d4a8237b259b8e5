-- What every peer's tables hold now, from the history alone: of each route the last event, where
-- that announces it and the peer has not gone down since. In the order of (session, sequence,
-- ordinal), never of time.
with downs as (
    select distinct on (peer_id) peer_id, session, sequence, ordinal
    from peer_events
    where kind = 'down'
    order by peer_id, session desc, sequence desc, ordinal desc
), last_events as (
    select * from (
        select distinct on (peer_id, view, afi, safi, prefix, route_distinguisher, path_id)
            peer_id, session, sequence, ordinal, view, afi, safi, action, to_jsonb(e) as route
        from route_events e
        order by peer_id, view, afi, safi, prefix, route_distinguisher, path_id,
            session desc, sequence desc, ordinal desc
    ) prefixes
    union all
    select * from (
        select distinct on (peer_id, view, nlri_text, path_id)
            peer_id, session, sequence, ordinal, view, afi, safi, action, to_jsonb(e) as route
        from evpn_events e
        order by peer_id, view, nlri_text, path_id, session desc, sequence desc, ordinal desc
    ) evpn
    union all
    select * from (
        select distinct on (peer_id, view, afi, safi, nlri, path_id)
            peer_id, session, sequence, ordinal, view, afi, safi, action, to_jsonb(e) as route
        from other_events e
        order by peer_id, view, afi, safi, nlri, path_id, session desc, sequence desc, ordinal desc
    ) others
)
select
    coalesce(s.sys_name, r.identity) as router,
    coalesce(host(p.address), 'loc-rib') as peer,
    rib_view_name(e.view) as view,
    family_name(e.afi, e.safi) as family,
    e.route
from last_events e
left join downs d using (peer_id)
join peers p on p.id = e.peer_id
join routers r on r.id = p.router_id
left join bmp_sessions s on s.router_id = p.router_id and s.session = e.session
where e.action = 'announce'
    and (d.peer_id is null or (e.session, e.sequence, e.ordinal) > (d.session, d.sequence, d.ordinal))
order by router, peer, view, family;
