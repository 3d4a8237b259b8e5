-- The looking glass: what routers hold, held at a moment, and how it came to be so.
--
-- Functions whose body is one query become part of the query that calls them: a condition
-- on their result reaches the indexes, and arguments that are null cost nothing. So none
-- is strict. A column hides an argument of the same name: so their arguments begin with of_,
-- or have the function's name before them.

-- Dumps -----------------------------------------------------------------------------

create table dump_events (
    time timestamptz not null,
    session bigint not null,
    sequence bigint not null,
    peer_id integer not null,
    view smallint not null,
    afi integer not null,
    safi smallint not null,
    began timestamptz not null
);
comment on table dump_events is 'Every complete dump of a table of a peer, of which rib_dumps has the latest: what was last heard before it began is not in the table from then on';
comment on column dump_events.time is 'Receive time of its End-of-RIB or, where there was none, of what showed that it was over';
comment on column dump_events.session is 'The BMP session that dumped it';
comment on column dump_events.sequence is 'Messages of that session up to this are from before the dump';
comment on column dump_events.peer_id is 'The peer';
comment on column dump_events.view is 'Which of the peer''s tables, see rib_view_name()';
comment on column dump_events.afi is 'Address family, see family_name()';
comment on column dump_events.safi is 'Subsequent address family';
comment on column dump_events.began is 'Receive time of the Peer Up before it';

select create_hypertable('dump_events', by_range('time', interval '7 days'), create_default_indexes => false);
create index dump_events_time on dump_events (time);
create index dump_events_peer on dump_events (peer_id, time);

insert into dump_events (time, session, sequence, peer_id, view, afi, safi, began)
select ended, session, sequence, peer_id, view, afi, safi, began from rib_dumps;

-- What routers hold -------------------------------------------------------------------

create function supernets(network inet) returns cidr[]
language sql immutable parallel safe
return (
    select array_agg(network(set_masklen(network, length)) order by length desc)
    from generate_series(0, masklen(network)) as length
);
comment on function supernets(inet) is
    'An address or prefix and all prefixes that contain it, the longest first: prefix = any (supernets(address)) finds them by an index on prefix, which prefix >>= address does not';

create function route_lookup(
    target inet,
    match text default 'longest',
    of_router text default null,
    of_peer inet default null,
    of_view text default null,
    of_family text default null
) returns setof current_routes
language sql stable parallel safe rows 100
as $$
    with found as (
        select c, rank() over (
            partition by c.peer_id, c.view, c.afi, c.safi, c.route_distinguisher
            order by masklen(c.prefix) desc
        ) as place
        from current_routes c
        where case
                when match in ('longest', 'less') then c.prefix = any (supernets(target))
                when match = 'exact' then c.prefix = network(target)
                when match = 'more' then c.prefix <<= network(target)
            end
            and (of_router is null or c.router = of_router)
            and (of_peer is null or c.peer = of_peer)
            and (of_view is null or c.rib_view = of_view)
            and (of_family is null or c.family = of_family)
    )
    select (c).* from found where match <> 'longest' or place = 1
$$;
comment on function route_lookup(inet, text, text, inet, text, text) is
    'Looking glass: current routes for an address or prefix. match is longest (of each table of each peer, VPNs apart), exact, more (it and its more specifics) or less (it and all that contain it); of_router, of_peer, of_view and of_family narrow it down';

-- What routers held -------------------------------------------------------------------

create function epochs_at(moment timestamptz)
returns table (
    peer_id integer,
    router_id integer,
    epoch integer,
    latest boolean,
    began timestamptz,
    ended timestamptz
)
language plpgsql stable parallel safe rows 100
as $$
begin
    return query
    select distinct on (p.id) p.id, p.router_id, e.epoch, e.epoch = p.epoch, e.began, e.ended
    from peer_epochs e
    join peers p on p.id = e.peer_id
    where e.began <= moment and (e.ended is null or e.ended > moment)
        -- Of the sessions that held it then, one at least was not silent, as far as is
        -- known: a session's earlier holds of the peer are not.
        and coalesce((
            select bool_or((s.ended is null or s.ended > moment)
                and (s.silent_since is null or s.silent_since > moment))
            from peer_holds h
            left join bmp_sessions s on s.router_id = p.router_id and s.session = h.session
            where h.peer_id = p.id and h.began <= moment and (h.ended is null or h.ended > moment)
        ), true)
    order by p.id, e.epoch desc;
end
$$;
comment on function epochs_at(timestamptz) is
    'The epoch in which each peer was at a moment that was up then; latest says that it has had none since. Not a part of the query that calls it, so that its number of rows is not guessed';

-- Routes that have not changed since are in the current table. What others were is what
-- their first change since has replaced. Of epochs that others have followed, the last
-- events up to the moment tell. Each is one walk through one range of one table, and then
-- at most one look into an index for each route: no plan of it can run away.
create function rib_at(
    moment timestamptz,
    of_router text default null,
    of_peer inet default null,
    of_view text default null,
    of_family text default null
) returns table (
    router text,
    sys_name text,
    peer_type text,
    distinguisher text,
    peer inet,
    peer_asn bigint,
    loc_rib_name text,
    rib_view text,
    family text,
    prefix cidr,
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
    since timestamptz,
    peer_id integer,
    view smallint,
    afi integer,
    safi smallint
)
language sql stable parallel safe rows 100000
as $$
    with live as materialized (
        select l.*, ro.identity, ro.sys_name, p.type, p.distinguisher, p.address, p.asn,
            p.loc_rib_name
        from epochs_at(moment) l
        join peers p on p.id = l.peer_id
        join routers ro on ro.id = l.router_id
        where (of_router is null or ro.identity = of_router)
            and (of_peer is null or p.address = of_peer)
    ),
    -- Dumps of sessions that began while another held the peer: the latest before the
    -- moment, and the first behind it.
    overlapping as materialized (
        select d.* from dump_events d
        where d.peer_id = any (array(select l.peer_id from live l))
            and d.began > (select l.began from live l where l.peer_id = d.peer_id)
    ),
    last_dump as materialized (
        select distinct on (d.peer_id, d.view, d.afi, d.safi) d.*
        from overlapping d where d.time <= moment
        order by d.peer_id, d.view, d.afi, d.safi, d.began desc, d.time desc
    ),
    next_dump as materialized (
        select d.peer_id, d.view, d.afi, d.safi, min(d.time) as time
        from overlapping d where d.time > moment group by 1, 2, 3, 4
    ),
    version as (
        -- As it is, since before the moment.
        select r.peer_id, r.view, r.afi, r.safi, r.prefix, r.path_id, r.route_distinguisher,
            r.time as since, r.labels, r.next_hop, r.link_local_next_hop, r.origin, r.as_path,
            r.origin_as, r.med, r.local_pref, r.atomic_aggregate, r.aggregator_asn,
            r.aggregator_address, r.communities, r.extended_communities, r.large_communities,
            r.originator_id, r.cluster_list, r.only_to_customer, r.other_attributes,
            r.further_attributes
        from routes r
        join live l on l.peer_id = r.peer_id and l.epoch = r.epoch
        left join last_dump d on d.peer_id = r.peer_id and d.view = r.view and d.afi = r.afi
            and d.safi = r.safi
        where l.latest and r.peer_id = any (array(select l.peer_id from live l where l.latest))
            and r.time <= moment and (r.withdrawn is null or r.withdrawn > moment)
            and (of_view is null or rib_view_name(r.view) = of_view)
            and (of_family is null or family_name(r.afi, r.safi) = of_family)
            and case when r.heard_session = d.session then r.heard_sequence > d.sequence
                else d.began is null or r.heard >= d.began end
        union all
        -- Changed since.
        select a.peer_id, a.view, a.afi, a.safi, a.prefix, a.path_id, a.route_distinguisher,
            coalesce(v.time, a.replaced), v.labels, v.next_hop, v.link_local_next_hop, v.origin,
            v.as_path, v.origin_as, v.med, v.local_pref, v.atomic_aggregate, v.aggregator_asn,
            v.aggregator_address, v.communities, v.extended_communities, v.large_communities,
            v.originator_id, v.cluster_list, v.only_to_customer, v.other_attributes,
            v.further_attributes
        from (
            select distinct on (e.prefix, e.peer_id, e.view, e.afi, e.safi, e.path_id,
                    e.route_distinguisher)
                e.prefix, e.peer_id, e.view, e.afi, e.safi, e.path_id, e.route_distinguisher,
                e.time, e.change, e.replaced
            from route_events e
            where (select bool_or(l.latest) from live l)
                and e.time > moment
                and e.peer_id = any (array(select l.peer_id from live l where l.latest))
                and e.change in ('new', 'returned', 'changed', 'withdrawn', 'withdrawn-unknown')
                and (of_view is null or rib_view_name(e.view) = of_view)
                and (of_family is null or family_name(e.afi, e.safi) = of_family)
            order by e.prefix, e.peer_id, e.view, e.afi, e.safi, e.path_id,
                e.route_distinguisher, e.time, e.session, e.sequence, e.ordinal
        ) a
        join live l on l.peer_id = a.peer_id
        left join next_dump d on d.peer_id = a.peer_id and d.view = a.view and d.afi = a.afi
            and d.safi = a.safi
        left join lateral (
            select e.* from route_events e
            where e.prefix = a.prefix and e.time <= moment
                -- What ended with a dump has a new beginning that replaced nothing.
                and e.time >= coalesce(a.replaced, case when d.time <= a.time then l.began end)
                and e.peer_id = a.peer_id and e.view = a.view and e.afi = a.afi
                and e.safi = a.safi and e.path_id is not distinct from a.path_id
                and e.route_distinguisher is not distinct from a.route_distinguisher
                and e.change in ('new', 'returned', 'changed', 'withdrawn', 'withdrawn-unknown')
            order by e.time desc, e.session desc, e.sequence desc, e.ordinal desc
            limit 1
        ) v on true
        where (a.replaced is not null or d.time <= a.time)
            and (v.action = 'announce' or v.action is null and a.replaced <= moment)
            -- What was withdrawn for good since is as it was in the current table.
            and (a.change not in ('withdrawn', 'withdrawn-unknown') or not exists (
                select from routes r
                where r.prefix = a.prefix and r.time <= moment and r.peer_id = a.peer_id
                    and r.view = a.view and r.afi = a.afi and r.safi = a.safi
                    and r.path_id is not distinct from a.path_id
                    and r.route_distinguisher is not distinct from a.route_distinguisher
                    and r.epoch = l.epoch
            ))
        union all
        -- Of an epoch that another has followed.
        select e.peer_id, e.view, e.afi, e.safi, e.prefix, e.path_id, e.route_distinguisher,
            e.time, e.labels, e.next_hop, e.link_local_next_hop, e.origin, e.as_path,
            e.origin_as, e.med, e.local_pref, e.atomic_aggregate, e.aggregator_asn,
            e.aggregator_address, e.communities, e.extended_communities, e.large_communities,
            e.originator_id, e.cluster_list, e.only_to_customer, e.other_attributes,
            e.further_attributes
        from (
            select distinct on (e.prefix, e.peer_id, e.view, e.afi, e.safi, e.path_id,
                    e.route_distinguisher) e.*
            from route_events e
            where not (select bool_and(l.latest) from live l)
                and e.time <= moment
                and e.time >= (select min(l.began) from live l where not l.latest)
                and e.peer_id = any (array(select l.peer_id from live l where not l.latest))
                and e.change in ('new', 'returned', 'changed', 'withdrawn', 'withdrawn-unknown')
                and (of_view is null or rib_view_name(e.view) = of_view)
                and (of_family is null or family_name(e.afi, e.safi) = of_family)
            order by e.prefix, e.peer_id, e.view, e.afi, e.safi, e.path_id,
                e.route_distinguisher, e.time desc, e.session desc, e.sequence desc,
                e.ordinal desc
        ) e
        join live l on l.peer_id = e.peer_id
        left join last_dump d on d.peer_id = e.peer_id and d.view = e.view and d.afi = e.afi
            and d.safi = e.safi
            and case when e.session = d.session then e.sequence <= d.sequence
                else e.time < d.began end
        where e.action = 'announce' and e.time >= l.began
            -- A dump that another session's overlapped has left it out where it came back as
            -- new, or where nobody has said it since.
            and case when d.began is null then true else coalesce((
                select n.change = 'refresh' or n.replaced is not null from route_events n
                where n.prefix = e.prefix and n.time >= d.began and n.time < l.ended
                    and n.peer_id = e.peer_id and n.view = e.view and n.afi = e.afi
                    and n.safi = e.safi and n.path_id is not distinct from e.path_id
                    and n.route_distinguisher is not distinct from e.route_distinguisher
                    and n.change <> 'unheld'
                order by n.time, n.session, n.sequence, n.ordinal
                limit 1
            ), (
                select case when r.heard_session = d.session then r.heard_sequence > d.sequence
                    else r.heard >= d.began end
                from routes r
                where r.prefix = e.prefix and r.peer_id = e.peer_id and r.view = e.view
                    and r.afi = e.afi and r.safi = e.safi
                    and r.path_id is not distinct from e.path_id
                    and r.route_distinguisher is not distinct from e.route_distinguisher
                    and r.epoch = l.epoch and r.time = e.time
            ), true) end
    )
    select l.identity, l.sys_name, peer_type_name(l.type), distinguisher_text(l.distinguisher),
        l.address, l.asn, l.loc_rib_name, rib_view_name(v.view), family_name(v.afi, v.safi),
        v.prefix, v.path_id, v.route_distinguisher, v.labels, v.next_hop,
        v.link_local_next_hop, v.origin, v.as_path, v.origin_as, v.med, v.local_pref,
        v.atomic_aggregate, v.aggregator_asn, v.aggregator_address, v.communities,
        v.extended_communities, v.large_communities, v.originator_id, v.cluster_list,
        v.only_to_customer, v.other_attributes, v.further_attributes, v.since, v.peer_id,
        v.view, v.afi, v.safi
    from version v
    join live l on l.peer_id = v.peer_id
$$;
comment on function rib_at(timestamptz, text, inet, text, text) is
    'The unicast, multicast, labelled and VPN routes that peers'' tables held at a moment, rebuilt from history; of_router, of_peer, of_view and of_family narrow it down. A version whose announcement retention has deleted has no attributes';

-- How it came to be so ----------------------------------------------------------------

create function route_history(
    of_prefix cidr,
    since timestamptz default '-infinity',
    until timestamptz default 'infinity',
    of_router text default null,
    of_peer inet default null,
    of_view text default null
) returns table (
    "time" timestamptz,
    router text,
    peer inet,
    rib_view text,
    family text,
    path_id bigint,
    route_distinguisher text,
    action text,
    initial_dump boolean,
    change text,
    parts text[],
    was jsonb,
    replaced_after interval,
    lasted interval,
    ended timestamptz,
    ended_by text,
    next_hop inet,
    as_path text,
    origin_as bigint,
    med bigint,
    local_pref bigint,
    communities text[],
    large_communities text[],
    extended_communities text[],
    session bigint,
    sequence bigint,
    ordinal integer,
    peer_id integer
)
language sql stable parallel safe rows 100
as $$
    with event as (
        select e.*, p.router_id, p.address,
            case when e.change <> 'refresh' then lead(e.time) over news end as next_time,
            case when e.change <> 'refresh' then lead(e.change) over news end as next_change,
            case when e.change = 'changed' then lag(e) over news end as before
        from route_events e
        join peers p on p.id = e.peer_id
        where e.prefix = of_prefix and (of_peer is null or p.address = of_peer)
            and (of_view is null or rib_view_name(e.view) = of_view)
            and (of_router is null
                or p.router_id = (select ro.id from routers ro where ro.identity = of_router))
        -- Refreshes, and what came of a peer that was down, are no versions.
        window news as (
            partition by e.peer_id, e.view, e.afi, e.safi, e.path_id, e.route_distinguisher,
                e.change in ('refresh', 'unheld')
            order by e.time, e.session, e.sequence, e.ordinal
        )
    )
    select e.time, ro.identity, e.address, rib_view_name(e.view), family_name(e.afi, e.safi),
        e.path_id, e.route_distinguisher, e.action, e.initial_dump, e.change,
        changed_parts(e.changed),
        (
            select jsonb_object_agg(part.key, part.value)
            from jsonb_each(to_jsonb(e.before)) as part
            where part.key = any (changed_parts(e.changed))
                or part.key = 'labels' and e.changed & 2 <> 0
                or part.key in ('aggregator_asn', 'aggregator_address') and e.changed & 128 <> 0
        ),
        e.time - e.replaced,
        version.ended - e.time,
        version.ended,
        case when version.ended = e.next_time then e.next_change
            when version.ended = version.epoch_ended then 'peer-down'
            when version.ended is not null then 'dump' end,
        e.next_hop, e.as_path, e.origin_as, e.med, e.local_pref, e.communities,
        e.large_communities, e.extended_communities, e.session, e.sequence, e.ordinal,
        e.peer_id
    from event e
    join routers ro on ro.id = e.router_id
    left join lateral (
        select least(e.next_time, epoch.ended, dump.ended) as ended, epoch.ended as epoch_ended
        from peer_epochs epoch
        -- A dump left it out where it came back as new, or is there no more.
        cross join lateral (
            select min(d.time) as ended
            from dump_events d
            where d.peer_id = e.peer_id and d.view = e.view and d.afi = e.afi
                and d.safi = e.safi and d.began > e.time
                and d.time <= coalesce(e.next_time, epoch.ended, 'infinity')
                and case when e.next_time is not null
                    then e.next_change in ('new', 'returned', 'withdrawn-unknown')
                    else exists (
                        select from routes r
                        where r.prefix = e.prefix and r.peer_id = e.peer_id and r.view = e.view
                            and r.afi = e.afi and r.safi = e.safi
                            and r.path_id is not distinct from e.path_id
                            and r.route_distinguisher is not distinct from e.route_distinguisher
                            and r.time = e.time
                            and case when r.heard_session = d.session
                                then r.heard_sequence <= d.sequence else r.heard < d.began end
                    ) end
        ) dump
        where epoch.peer_id = e.peer_id and epoch.began <= e.time
            and e.change in ('new', 'returned', 'changed')
        order by epoch.epoch desc
        limit 1
    ) version on true
    where e.time >= route_history.since and e.time < route_history.until
    order by e.time, e.session, e.sequence, e.ordinal
$$;
comment on function route_history(cidr, timestamptz, timestamptz, text, inet, text) is
    'Every event of a prefix with what it did: parts names what a change changed and was has their values before it (null where retention has deleted that version); replaced_after is how long the version had lasted that it ended, lasted how long the version that it brought, until ended, by the change that ended_by names, with the peer, or because a dump left it out; null while it lasts. of_router, of_peer and of_view narrow it down';
