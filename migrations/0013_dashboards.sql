-- Answers for dashboards, which ask again and again: with less to sort, or kept.

-- Of a day with dumps only what has changed is sorted -------------------------------------

create or replace function origin_changes(since timestamptz, until timestamptz default 'infinity')
returns table (
    "time" timestamptz,
    router text,
    peer inet,
    rib_view text,
    family text,
    prefix cidr,
    path_id bigint,
    was bigint,
    origin_as bigint,
    as_path text,
    lasted interval,
    peer_id integer
)
language sql stable parallel safe rows 1000
as $$
    with said as (
        select e.*, lag(e.origin_as) over versions as was, lag(e.time) over versions as was_since
        from route_events e
        where e.time >= since and e.time < until and e.change in ('new', 'returned', 'changed')
            and e.prefix in (
                select c.prefix from route_events c
                where c.time >= since and c.time < until and c.change = 'changed'
                    and c.changed & 8 <> 0)
        window versions as (
            partition by e.prefix, e.peer_id, e.view, e.afi, e.safi, e.path_id,
                e.route_distinguisher
            order by e.time, e.session, e.sequence, e.ordinal)
    ), known as (
        select s.*,
            -- Of what had begun before the window.
            case when s.was_since = s.replaced then s.was else (
                select e.origin_as from route_events e
                where e.prefix = s.prefix and e.time = s.replaced and e.peer_id = s.peer_id
                    and e.view = s.view and e.afi = s.afi and e.safi = s.safi
                    and e.path_id is not distinct from s.path_id
                    and e.route_distinguisher is not distinct from s.route_distinguisher
                    and e.change in ('new', 'returned', 'changed')
                order by e.session desc, e.sequence desc, e.ordinal desc
                limit 1
            ) end as before
        from said s
        where s.change = 'changed' and s.changed & 8 <> 0
    )
    select k.time, ro.identity, p.address, rib_view_name(k.view), family_name(k.afi, k.safi),
        k.prefix, k.path_id, k.before, k.origin_as, k.as_path, k.time - k.replaced, k.peer_id
    from known k
    join peers p on p.id = k.peer_id
    join routers ro on ro.id = p.router_id
    where k.before <> k.origin_as
$$;

create or replace function flapping_prefixes(
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
            -- A flap begins with a withdrawal.
            and e.prefix in (
                select w.prefix from route_events w
                where w.time >= since and w.time < until and w.change = 'withdrawn'
                group by w.prefix
                having count(*) >= at_least)
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

-- A bogon's routes are a range of an index; without the barrier every route would be looked at.
create or replace view bogon_routes as
select b.prefix as bogon, b.name, b.reference, c.router, c.peer, c.peer_asn, c.rib_view,
    c.family, c.prefix, c.path_id, c.as_path, c.origin_as, c.since, c.peer_id
from bogons b
cross join lateral (
    select * from current_routes r
    where r.prefix between b.prefix and last_address(b.prefix) and r.safi in (1, 2)
    offset 0
) c
where b.bogon
    and not exists (
        select from bogons nested
        where nested.prefix << b.prefix and nested.prefix >>= c.prefix);

create or replace view unexpected_origins as
select distinct c.router, c.peer, c.peer_asn, c.rib_view, c.family, c.prefix, c.path_id,
    c.as_path, c.origin_as, c.since, c.peer_id
from expected_origins e
cross join lateral (
    select * from current_routes r
    where r.prefix between e.prefix and last_address(e.prefix) and r.safi in (1, 2)
    offset 0
) c
where expected_origin(c.prefix, c.origin_as) = 'unexpected';

insert into bogons (prefix, bogon, name, reference)
values ('2001:1::3/128', false, 'DNS-SD service registration anycast', 'RFC 9665')
on conflict do nothing;

-- Compiling expressions -------------------------------------------------------------------
--
-- A query of a history of many chunks has thousands of expressions. PostgreSQL's estimate of its
-- cost is high enough for all of them to be compiled, which takes longer than the query.
do $$
begin
    execute format('alter database %I set jit = off', current_database());
exception
    when insufficient_privilege then
        raise warning 'only the owner of the database may say: alter database % set jit = off; without it some queries take several times as long', quote_ident(current_database());
end
$$;

-- Copies ----------------------------------------------------------------------------------
--
-- What looks at every current route takes seconds where there are millions of them; a dashboard
-- that many people look at reads what one of the ingesters has made of it a few minutes ago.

create view recent_hijacks as
select h.*
from (select coalesce(max(last_received), now()) as now from ingest_offsets) topic
cross join lateral possible_hijacks(topic.now - interval '7 days') h;
comment on view recent_hijacks is 'possible_hijacks() of the last 7 days, by the topic''s time';

create view recent_origin_changes as
select c.*
from (select coalesce(max(last_received), now()) as now from ingest_offsets) topic
cross join lateral origin_changes(topic.now - interval '7 days') c;
comment on view recent_origin_changes is 'origin_changes() of the last 7 days, by the topic''s time';

create table snapshots (
    view text primary key,
    taken timestamptz,
    took interval,
    entries bigint
);
comment on table snapshots is 'The views of which there is a copy, <view>_snapshot with the same columns, which one of the ingesters makes anew from time to time (--snapshot-every)';
comment on column snapshots.view is 'The view';
comment on column snapshots.taken is 'When its copy was made, by the database''s clock; null where there is none yet';
comment on column snapshots.took is 'How long that took';
comment on column snapshots.entries is 'Its rows';

do $$
declare
    of_view text;
    ours record;
begin
    foreach of_view in array '{route_anomalies, recent_hijacks, recent_origin_changes,
        moas_prefixes, origin_distribution, next_hop_distribution, as_adjacencies,
        prefix_lengths}'::text[]
    loop
        execute format('create table %I as table %I with no data', of_view || '_snapshot', of_view);
        execute format('comment on table %I is %L', of_view || '_snapshot',
            format('%s as it was when snapshots says', of_view));
        for ours in
            select a.attname as name from pg_attribute a
            where a.attrelid = of_view::regclass and a.attnum > 0
        loop
            execute format('comment on column %I.%I is %L', of_view || '_snapshot', ours.name,
                format('As in %s', of_view));
        end loop;
        insert into snapshots (view) values (of_view);
    end loop;
end
$$;

create function take_snapshot(of_view text) returns bigint
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
    began timestamptz := clock_timestamp();
    copied bigint;
begin
    perform from snapshots s where s.view = of_view for update;
    if not found then
        raise exception '% is not one of the views in snapshots', quote_ident(of_view)
            using errcode = 'invalid_parameter_value';
    end if;
    -- Who reads meanwhile reads the former copy.
    execute format('delete from %I', of_view || '_snapshot');
    execute format('insert into %I select * from %I', of_view || '_snapshot', of_view);
    get diagnostics copied = row_count;
    update snapshots s
    set taken = began, took = clock_timestamp() - began, entries = copied
    where s.view = of_view;
    return copied;
end
$$;
comment on function take_snapshot(text) is
    'Makes the copy of one of the views in snapshots anew; how many rows it has. Ingesters call it';
