-- What a network's operators ask: what happened, what flaps, what policy does, what differs.

-- Bursts ------------------------------------------------------------------------------

create function convergence(
    since timestamptz,
    until timestamptz default 'infinity',
    gap interval default '30 seconds',
    of_prefix cidr default null
) returns table (
    prefix cidr,
    family text,
    route_distinguisher text,
    began timestamptz,
    settled timestamptz,
    took interval,
    changes bigint,
    withdrawals bigint,
    peers bigint,
    routers bigint,
    paths bigint
)
language sql stable parallel safe rows 10000
as $$
    with event as (
        select e.prefix, e.afi, e.safi, e.route_distinguisher, e.time, e.change, e.peer_id,
            e.view, e.as_path, p.router_id,
            e.time - lag(e.time) over prefixes > gap as apart
        from route_events e
        join peers p on p.id = e.peer_id
        where e.time >= convergence.since and e.time < convergence.until and not e.initial_dump
            and e.change in ('new', 'returned', 'changed', 'withdrawn')
            and (of_prefix is null or e.prefix = of_prefix)
        window prefixes as (
            partition by e.prefix, e.afi, e.safi, e.route_distinguisher order by e.time)
    ), burst as (
        select e.*, count(*) filter (where e.apart) over (
            partition by e.prefix, e.afi, e.safi, e.route_distinguisher order by e.time) as number
        from event e
    )
    select b.prefix, family_name(b.afi, b.safi), b.route_distinguisher, min(b.time),
        max(b.time), max(b.time) - min(b.time), count(*),
        count(*) filter (where b.change = 'withdrawn'), count(distinct (b.peer_id, b.view)),
        count(distinct b.router_id), count(distinct b.as_path)
    from burst b
    group by b.prefix, b.afi, b.safi, b.route_distinguisher, b.number
$$;
comment on function convergence(timestamptz, timestamptz, interval, cidr) is
    'How long prefixes took to settle: their changes at all peers and routers, initial dumps apart, in bursts that are further apart than gap; from the first to the last of each, with the number of tables of peers, routers and different paths that had part';

create function update_storms(
    since timestamptz,
    until timestamptz default 'infinity',
    per_second double precision default 100,
    bucket interval default '10 seconds'
) returns table (
    router text,
    peer inet,
    rib_view text,
    began timestamptz,
    ended timestamptz,
    announcements bigint,
    withdrawals bigint,
    peak double precision,
    prefixes bigint,
    peer_id integer
)
language sql stable parallel safe rows 100
as $$
    with event as (
        select e.peer_id, e.view, e.prefix, e.action,
            time_bucket(bucket, e.time) as bucketed
        from route_events e
        where e.time >= since and e.time < until and not e.initial_dump
    ), busy as (
        select e.peer_id, e.view, e.bucketed, count(*) as events,
            count(*) filter (where e.action = 'withdraw') as withdrawals
        from event e
        group by 1, 2, 3
        having count(*) >= per_second * extract(epoch from bucket)
    ), storm as (
        -- The number of buckets before it, in time and in the list: equal for neighbours.
        select b.*, b.bucketed - bucket * row_number() over (
            partition by b.peer_id, b.view order by b.bucketed) as run
        from busy b
    ), whole as (
        select s.peer_id, s.view, min(s.bucketed) as began, max(s.bucketed) + bucket as ended,
            sum(s.events - s.withdrawals)::bigint as announcements,
            sum(s.withdrawals)::bigint as withdrawals,
            max(s.events) / extract(epoch from bucket) as peak
        from storm s
        group by s.peer_id, s.view, s.run
    )
    select ro.identity, p.address, rib_view_name(w.view), w.began, w.ended, w.announcements,
        w.withdrawals, w.peak::double precision,
        (
            select count(distinct e.prefix) from route_events e
            where e.time >= w.began and e.time < w.ended and e.peer_id = w.peer_id
                and e.view = w.view and not e.initial_dump
        ),
        w.peer_id
    from whole w
    join peers p on p.id = w.peer_id
    join routers ro on ro.id = p.router_id
$$;
comment on function update_storms(timestamptz, timestamptz, double precision, interval) is
    'Stretches in which a peer''s table saw at least per_second announcements and withdrawals of prefixes a second in every bucket, initial dumps apart; peak is the rate of the busiest';

-- What flaps --------------------------------------------------------------------------

create function flapping_prefixes(
    since timestamptz,
    until timestamptz default 'infinity',
    at_least bigint default 3
) returns table (
    router text,
    peer inet,
    rib_view text,
    family text,
    prefix cidr,
    route_distinguisher text,
    path_id bigint,
    flaps bigint,
    changes bigint,
    down interval,
    first_flap timestamptz,
    last_flap timestamptz,
    peer_id integer
)
language sql stable parallel safe rows 1000
as $$
    with event as (
        select e.peer_id, e.view, e.afi, e.safi, e.prefix, e.route_distinguisher, e.path_id,
            e.time, e.change, lead(e.time) over (
                partition by e.prefix, e.peer_id, e.view, e.afi, e.safi, e.path_id,
                    e.route_distinguisher
                order by e.time, e.session, e.sequence, e.ordinal) as next_time
        from route_events e
        where e.time >= since and e.time < until
            and e.change in ('new', 'returned', 'changed', 'withdrawn')
    ), counted as (
        select e.peer_id, e.view, e.afi, e.safi, e.prefix, e.route_distinguisher, e.path_id,
            count(*) filter (where e.change = 'withdrawn' and e.next_time is not null) as flaps,
            count(*) filter (where e.change = 'changed') as changes,
            sum(e.next_time - e.time) filter (where e.change = 'withdrawn') as down,
            min(e.time) filter (where e.change = 'withdrawn') as first_flap,
            max(e.time) filter (where e.change = 'withdrawn' and e.next_time is not null)
                as last_flap
        from event e
        group by 1, 2, 3, 4, 5, 6, 7
        having count(*) filter (where e.change = 'withdrawn' and e.next_time is not null)
            >= at_least
    )
    select ro.identity, p.address, rib_view_name(c.view), family_name(c.afi, c.safi), c.prefix,
        c.route_distinguisher, c.path_id, c.flaps, c.changes, c.down, c.first_flap, c.last_flap,
        c.peer_id
    from counted c
    join peers p on p.id = c.peer_id
    join routers ro on ro.id = p.router_id
$$;
comment on function flapping_prefixes(timestamptz, timestamptz, bigint) is
    'Routes that were withdrawn and announced again at least so often in a window: a flap is both. changes are those from one version to another; down is how long the flaps kept it away in all';

create function flapping_peers(
    since timestamptz,
    until timestamptz default 'infinity',
    at_least bigint default 1
) returns table (
    router text,
    peer inet,
    peer_asn bigint,
    flaps bigint,
    up interval,
    shortest interval,
    last_down timestamptz,
    reasons text[],
    is_up boolean,
    peer_id integer
)
language sql stable parallel safe rows 100
as $$
    with epoch as (
        select e.*, e.ended >= flapping_peers.since and e.ended < flapping_peers.until as flap,
            least(e.ended, flapping_peers.until, o.now)
                - greatest(e.began, flapping_peers.since) as up
        from peer_epochs e
        -- The topic's own time.
        cross join (select coalesce(max(i.last_received), now()) as now from ingest_offsets i) o
        where e.began < flapping_peers.until
            and (e.ended is null or e.ended >= flapping_peers.since)
    )
    select ro.identity, p.address, p.asn, count(*) filter (where e.flap),
        sum(e.up) filter (where e.up > interval '0'), min(e.ended - e.began) filter (where e.flap),
        max(e.ended) filter (where e.flap),
        array_agg(distinct coalesce(peer_down_reason_name(e.end_reason), 'up-again'))
            filter (where e.flap),
        exists (select from live_peers l where l.peer_id = p.id),
        p.id
    from epoch e
    join peers p on p.id = e.peer_id
    join routers ro on ro.id = p.router_id
    group by ro.identity, p.id
    having count(*) filter (where e.flap) >= at_least
$$;
comment on function flapping_peers(timestamptz, timestamptz, bigint) is
    'Peers that went down at least so often in a window, why, how long they were up in it in all, and the shortest of the epochs that ended in it';

-- What differs ------------------------------------------------------------------------

create function differing_parts(one jsonb, other jsonb) returns text[]
language sql immutable parallel safe
return (
    select array_agg(name order by place)
    from unnest(array['next_hop', 'labels', 'origin', 'as_path', 'med', 'local_pref',
        'atomic_aggregate', 'aggregator_asn', 'aggregator_address', 'communities',
        'extended_communities', 'large_communities', 'originator_id', 'cluster_list',
        'only_to_customer', 'other_attributes', 'further_attributes'])
        with ordinality as part (name, place)
    where one->name is distinct from other->name
);
comment on function differing_parts(jsonb, jsonb) is
    'Names of the attributes, as columns of routes, in which two routes given as to_jsonb(row) differ; null where in none';

create function rib_diff(
    before timestamptz,
    after timestamptz,
    of_router text default null,
    of_peer inet default null,
    of_view text default null,
    of_family text default null
) returns table (
    router text,
    peer inet,
    rib_view text,
    family text,
    prefix cidr,
    path_id bigint,
    route_distinguisher text,
    difference text,
    parts text[],
    was jsonb,
    is_now jsonb,
    peer_id integer
)
language sql stable parallel safe rows 10000
as $$
    -- What is at both moments since the same time is the same version.
    select coalesce(n.router, w.router), coalesce(n.peer, w.peer),
        coalesce(n.rib_view, w.rib_view), coalesce(n.family, w.family),
        coalesce(n.prefix, w.prefix), coalesce(n.path_id, w.path_id),
        coalesce(n.route_distinguisher, w.route_distinguisher),
        case when w.prefix is null then 'appeared' when n.prefix is null then 'disappeared'
            else 'changed' end,
        case when w.prefix is not null and n.prefix is not null
            then differing_parts(to_jsonb(w), to_jsonb(n)) end,
        case when w.prefix is not null then jsonb_strip_nulls(to_jsonb(w)) end,
        case when n.prefix is not null then jsonb_strip_nulls(to_jsonb(n)) end,
        coalesce(n.peer_id, w.peer_id)
    from rib_at(before, of_router, of_peer, of_view, of_family) w
    full join rib_at(after, of_router, of_peer, of_view, of_family) n
        on n.prefix = w.prefix and n.peer_id = w.peer_id and n.view = w.view
        and n.afi = w.afi and n.safi = w.safi
        and coalesce(n.path_id, -1) = coalesce(w.path_id, -1)
        and coalesce(n.route_distinguisher, '') = coalesce(w.route_distinguisher, '')
    where w.prefix is null or n.prefix is null
        or w.since <> n.since and (w.next_hop, w.labels, w.origin, w.as_path, w.med, w.local_pref,
                w.atomic_aggregate, w.aggregator_asn, w.aggregator_address,
                w.communities, w.extended_communities, w.large_communities,
                w.originator_id, w.cluster_list, w.only_to_customer,
                w.other_attributes, w.further_attributes)
            is distinct from
            (n.next_hop, n.labels, n.origin, n.as_path, n.med, n.local_pref,
                n.atomic_aggregate, n.aggregator_asn, n.aggregator_address,
                n.communities, n.extended_communities, n.large_communities,
                n.originator_id, n.cluster_list, n.only_to_customer,
                n.other_attributes, n.further_attributes)
$$;
comment on function rib_diff(timestamptz, timestamptz, text, inet, text, text) is
    'What of peers'' tables was otherwise at a later moment: routes that had appeared, disappeared or changed, in which parts, and both versions';

create function route_differences(
    one integer,
    other integer,
    of_view text default 'adj-rib-in-post',
    of_family text default null
) returns table (
    family text,
    prefix cidr,
    route_distinguisher text,
    path_id bigint,
    difference text,
    parts text[],
    one_next_hop inet,
    other_next_hop inet,
    one_as_path text,
    other_as_path text
)
language sql stable parallel safe rows 10000
as $$
    select coalesce(a.family, b.family), coalesce(a.prefix, b.prefix),
        coalesce(a.route_distinguisher, b.route_distinguisher), coalesce(a.path_id, b.path_id),
        case when b.prefix is null then 'only-one' when a.prefix is null then 'only-other'
            else 'differs' end,
        case when a.prefix is not null and b.prefix is not null
            then differing_parts(to_jsonb(a), to_jsonb(b)) end,
        a.next_hop, b.next_hop, a.as_path, b.as_path
    from (
        select * from current_routes c
        where c.peer_id = one and c.rib_view = of_view
            and (of_family is null or c.family = of_family)
    ) a
    full join (
        select * from current_routes c
        where c.peer_id = other and c.rib_view = of_view
            and (of_family is null or c.family = of_family)
    ) b
        on b.prefix = a.prefix and b.afi = a.afi and b.safi = a.safi
        and coalesce(b.path_id, -1) = coalesce(a.path_id, -1)
        and coalesce(b.route_distinguisher, '') = coalesce(a.route_distinguisher, '')
    where a.prefix is null or b.prefix is null
        or (a.next_hop, a.labels, a.origin, a.as_path, a.med, a.local_pref,
            a.atomic_aggregate, a.aggregator_asn, a.aggregator_address, a.communities,
            a.extended_communities, a.large_communities, a.originator_id,
            a.cluster_list, a.only_to_customer, a.other_attributes,
            a.further_attributes)
        is distinct from
        (b.next_hop, b.labels, b.origin, b.as_path, b.med, b.local_pref,
            b.atomic_aggregate, b.aggregator_asn, b.aggregator_address, b.communities,
            b.extended_communities, b.large_communities, b.originator_id,
            b.cluster_list, b.only_to_customer, b.other_attributes,
            b.further_attributes)
$$;
comment on function route_differences(integer, integer, text, text) is
    'Current routes that two peers, by peer_id, of one router or of two, do not both have, or have otherwise: only-one, only-other, or differs and in which parts. Loc-RIBs are peers too: of_view is then loc-rib';

-- What policy does --------------------------------------------------------------------

create view policy_results as
with pre as (
    select c.* from current_routes c
    where c.view in (1, 3) and exists (
        -- Of a peer whose other view is not monitored nothing can be said.
        select from routes r
        where r.peer_id = c.peer_id and r.view = c.view + 1 and r.afi = c.afi
            and r.safi = c.safi)
)
select
    case pre.view when 1 then 'in' else 'out' end as direction,
    pre.router,
    pre.peer,
    pre.peer_asn,
    pre.family,
    pre.prefix,
    pre.route_distinguisher,
    pre.path_id,
    case when post.prefix is null then 'rejected' when d.parts is not null then 'changed'
        else 'accepted' end as result,
    d.parts,
    pre.next_hop,
    pre.as_path,
    pre.origin_as,
    pre.communities,
    pre.since,
    pre.peer_id
from pre
left join lateral (
    select c.* from current_routes c
    where c.prefix = pre.prefix and c.peer_id = pre.peer_id and c.view = pre.view + 1
        and c.afi = pre.afi and c.safi = pre.safi
        and c.route_distinguisher is not distinct from pre.route_distinguisher
        -- Some routers leave the path identifier out behind policy.
        and (c.path_id = pre.path_id or c.path_id is null)
    order by c.path_id nulls last, (c.as_path is not distinct from pre.as_path) desc
    limit 1
) post on true
cross join lateral (
    select case when post.prefix is not null and
        (pre.next_hop, pre.labels, pre.origin, pre.as_path, pre.med, pre.local_pref,
            pre.atomic_aggregate, pre.aggregator_asn, pre.aggregator_address,
            pre.communities, pre.extended_communities, pre.large_communities,
            pre.originator_id, pre.cluster_list, pre.only_to_customer,
            pre.other_attributes, pre.further_attributes)
        is distinct from
        (post.next_hop, post.labels, post.origin, post.as_path, post.med,
            post.local_pref, post.atomic_aggregate, post.aggregator_asn,
            post.aggregator_address, post.communities, post.extended_communities,
            post.large_communities, post.originator_id, post.cluster_list,
            post.only_to_customer, post.other_attributes, post.further_attributes)
        then differing_parts(to_jsonb(pre), to_jsonb(post)) end as parts
) d;
comment on view policy_results is 'What policy makes of each current route of a table before it: accepted, changed and in which parts, or rejected: before policy and not behind it. direction is in or out; peers of which only one of the two views is monitored are left out';

-- Who goes where ----------------------------------------------------------------------

create view next_hop_distribution as
select ro.identity as router, p.address as peer, rib_view_name(c.view) as rib_view,
    family_name(c.afi, c.safi) as family, c.next_hop, c.routes,
    round(100 * c.routes / sum(c.routes) over (
        partition by c.peer_id, c.view, c.afi, c.safi), 2) as percent,
    c.peer_id
from (
    select c.peer_id, c.view, c.afi, c.safi, c.next_hop, count(*) as routes
    from current_routes c
    group by c.peer_id, c.view, c.afi, c.safi, c.next_hop
) c
join peers p on p.id = c.peer_id
join routers ro on ro.id = p.router_id;
comment on view next_hop_distribution is 'How many current routes of each table go to each next hop, and which part of the table that is';

create view origin_distribution as
select c.origin_as, asn_kind(c.origin_as) as kind, c.family, count(*) as routes,
    count(distinct c.prefix) as prefixes, count(distinct c.peer_id) as peers,
    count(distinct c.router) as routers
from current_routes c
where c.origin_as is not null
group by c.origin_as, c.family;
comment on view origin_distribution is 'How many current routes and prefixes each AS originates, and at how many peers and routers they are';

create function adjacencies(as_path text) returns table (nearer bigint, farther bigint)
language sql immutable parallel safe rows 4
as $$
    select distinct h.asn, h.next from (
        select asn, lead(asn) over (order by place) as next
        from unnest(path_hops(as_path)) with ordinality as hop (asn, place)
    ) h
    where h.next is not null
$$;
comment on function adjacencies(text) is
    'The pairs of AS that are next to each other in a path, the nearer first';

create view as_adjacencies as
with path as materialized (
    select c.as_path, c.prefix, c.peer_id
    from current_routes c
    where c.safi in (1, 2) and c.as_path <> ''
), pair as materialized (
    select p.as_path, a.nearer, a.farther
    from (select distinct path.as_path from path) p
    cross join lateral adjacencies(p.as_path) a
)
select a.nearer, a.farther, count(*) as routes, count(distinct p.prefix) as prefixes,
    count(distinct p.peer_id) as peers
from pair a
join path p on p.as_path = a.as_path
group by a.nearer, a.farther;
comment on view as_adjacencies is 'AS that are next to each other in current paths, and how many routes, prefixes and peers go over each such step';

create function as_adjacency_changes(
    before timestamptz,
    after timestamptz,
    of_router text default null,
    of_peer inet default null,
    of_view text default null
) returns table (
    nearer bigint,
    farther bigint,
    prefixes_before bigint,
    prefixes_after bigint,
    difference bigint
)
language sql stable parallel safe rows 1000
as $$
    with route as materialized (
        select r.as_path, r.prefix, false as later
        from rib_at(before, of_router, of_peer, of_view) r
        where r.safi in (1, 2) and r.as_path <> ''
        union all
        select r.as_path, r.prefix, true
        from rib_at(after, of_router, of_peer, of_view) r
        where r.safi in (1, 2) and r.as_path <> ''
    ), pair as materialized (
        select p.as_path, a.nearer, a.farther
        from (select distinct route.as_path from route) p
        cross join lateral adjacencies(p.as_path) a
    ), counted as (
        select a.nearer, a.farther,
            count(distinct r.prefix) filter (where not r.later) as before,
            count(distinct r.prefix) filter (where r.later) as after
        from pair a
        join route r on r.as_path = a.as_path
        group by a.nearer, a.farther
    )
    select c.nearer, c.farther, c.before, c.after, c.after - c.before
    from counted c
    where c.before <> c.after
$$;
comment on function as_adjacency_changes(timestamptz, timestamptz, text, inet, text) is
    'Steps between two AS over which another number of prefixes went at a later moment';
