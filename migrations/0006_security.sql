-- Routes that should not be: hijacks, leaks, bogons, and paths that make no sense.

-- Paths -------------------------------------------------------------------------------

create function path_hops(as_path text) returns bigint[]
language sql immutable parallel safe
return (
    select coalesce(array_agg(hop.asn order by hop.place)
        filter (where hop.asn is distinct from hop.before), '{}')
    from (
        select asn::bigint as asn, place, lag(asn::bigint) over (order by place) as before
        from unnest(case
            -- Most paths are one sequence, which is read ten times as fast.
            when as_path !~ '[^0-9 ]' then string_to_array(nullif(as_path, ''), ' ')
            else regexp_split_to_array(
                nullif(btrim(regexp_replace(regexp_replace(as_path, '\([^)]*\)|\[[^]]*\]', '', 'g'),
                    '[^0-9]+', ' ', 'g')), ''), ' ')
        end) with ordinality as found (asn, place)
    ) hop
);
comment on function path_hops(text) is
    'The AS numbers of a path in order, the nearest first, each run of one AS once, confederations left out';

create function path_origin(as_path text) returns bigint
language sql immutable parallel safe
return substring(as_path from '(\d+)$')::bigint;
comment on function path_origin(text) is
    'The AS that a path begins at, as origin_as: null where it is empty or ends with a set or a confederation';

create function asn_kind(asn bigint) returns text
language sql immutable parallel safe
return case
    when asn = 0 then 'as-zero'
    when asn = 23456 then 'as-trans'
    when asn between 64496 and 64511 or asn between 65536 and 65551 then 'documentation-asn'
    when asn between 64512 and 65534 or asn between 4200000000 and 4294967294 then 'private-asn'
    when asn in (65535, 4294967295) then 'last-asn'
    when asn between 65552 and 131071 then 'reserved-asn'
end;
comment on function asn_kind(bigint) is
    'What is special about an AS number: as-zero (RFC 7607), as-trans (RFC 6793), documentation-asn (RFC 5398), private-asn (RFC 6996), last-asn (RFC 7300), reserved-asn (IANA); null for one that may be anybody''s';

create function path_problems(as_path text, longest integer default 50) returns table (
    problem text,
    asn bigint
)
language sql immutable parallel safe rows 2
as $$
    with hop as (
        select h.asn, h.place from unnest(path_hops(as_path)) with ordinality as h (asn, place)
    )
    select distinct asn_kind(hop.asn), hop.asn from hop where asn_kind(hop.asn) is not null
    union all
    select 'as-repeated', hop.asn from hop group by hop.asn having count(*) > 1
    union all
    select 'path-too-long', null where cardinality(as_path_asns(as_path)) > longest
$$;
comment on function path_problems(text, integer) is
    'What is wrong with a path, and with which AS: what asn_kind() says; as-repeated, where an AS comes back after another, as in a loop or a path that was poisoned to keep somebody from it; path-too-long, where it has more AS numbers than longest';

-- What the operator knows -----------------------------------------------------------------

create table expected_origins (
    prefix cidr not null,
    origin_as bigint not null,
    max_length integer check (max_length between masklen(prefix) and 128),
    note text,
    primary key (prefix, origin_as)
);
comment on table expected_origins is 'Who may originate what, filled by the operator: a route of one of these prefixes, or of a more specific, is right if an entry has its origin and allows its length';
comment on column expected_origins.prefix is 'The prefix';
comment on column expected_origins.origin_as is 'An AS that may originate it; AS 0 is nobody';
comment on column expected_origins.max_length is 'Up to which length more specifics may be originated; null for none';
comment on column expected_origins.note is 'For people';

create function expected_origin(of_prefix cidr, of_origin bigint) returns text
language sql stable parallel safe
return (
    select case
        when bool_or(e.origin_as = of_origin
            and masklen(of_prefix) <= coalesce(e.max_length, masklen(e.prefix))) then 'expected'
        when count(*) > 0 then 'unexpected'
    end
    from expected_origins e
    where e.prefix = any (supernets(of_prefix))
);
comment on function expected_origin(cidr, bigint) is
    'What expected_origins says of a prefix from an origin: expected, unexpected, or null where it says nothing of the prefix';

create table as_relationships (
    asn bigint not null,
    neighbor bigint not null check (neighbor <> asn),
    neighbor_is text not null check (neighbor_is in ('customer', 'peer', 'provider', 'sibling')),
    primary key (asn, neighbor)
);
comment on table as_relationships is 'What AS are to each other, filled by the operator; one row for a pair, whichever way round';
comment on column as_relationships.asn is 'An AS';
comment on column as_relationships.neighbor is 'Another';
comment on column as_relationships.neighbor_is is 'What the other is to it: customer, peer, provider or sibling';

create function as_relationship(of_asn bigint, of_neighbor bigint) returns text
language sql stable parallel safe
return coalesce(
    (select r.neighbor_is from as_relationships r where r.asn = of_asn and r.neighbor = of_neighbor),
    (select case r.neighbor_is when 'customer' then 'provider' when 'provider' then 'customer'
            else r.neighbor_is end
        from as_relationships r where r.asn = of_neighbor and r.neighbor = of_asn)
);
comment on function as_relationship(bigint, bigint) is
    'What the second AS is to the first, from as_relationships either way round; null where it is not known';

create table tier1_ases (
    asn bigint primary key,
    name text not null
);
comment on table tier1_ases is 'Networks that buy transit from nobody: no customer passes the routes of one on to another. What is commonly held to be one to begin with; the operator''s to change';
comment on column tier1_ases.asn is 'The AS';
comment on column tier1_ases.name is 'For people';

insert into tier1_ases values
    (174, 'Cogent'), (701, 'Verizon'), (1299, 'Arelion'), (2914, 'NTT'), (3257, 'GTT'),
    (3320, 'Deutsche Telekom'), (3356, 'Lumen'), (3491, 'PCCW'), (5511, 'Orange'),
    (6453, 'Tata'), (6461, 'Zayo'), (6762, 'Sparkle'), (6830, 'Liberty Global'),
    (7018, 'AT&T'), (12956, 'Telxius');

create table bogons (
    prefix cidr primary key,
    bogon boolean not null default true,
    name text not null,
    reference text not null
);
comment on table bogons is 'Address space that has no place in the global table: what the IANA registries of special-purpose addresses say is not globally reachable, and multicast. The operator''s to change';
comment on column bogons.prefix is 'The prefix; the longest that contains a route tells';
comment on column bogons.bogon is 'False for what is reachable inside of what is not';
comment on column bogons.name is 'What it is for';
comment on column bogons.reference is 'Where that is said';

insert into bogons (prefix, bogon, name, reference) values
    ('0.0.0.0/8', true, 'this network', 'RFC 791, 3.2'),
    ('10.0.0.0/8', true, 'private use', 'RFC 1918'),
    ('100.64.0.0/10', true, 'shared address space', 'RFC 6598'),
    ('127.0.0.0/8', true, 'loopback', 'RFC 1122, 3.2.1.3'),
    ('169.254.0.0/16', true, 'link local', 'RFC 3927'),
    ('172.16.0.0/12', true, 'private use', 'RFC 1918'),
    ('192.0.0.0/24', true, 'IETF protocol assignments', 'RFC 6890, 2.1'),
    ('192.0.0.9/32', false, 'port control protocol anycast', 'RFC 7723'),
    ('192.0.0.10/32', false, 'TURN anycast', 'RFC 8155'),
    ('192.0.2.0/24', true, 'documentation', 'RFC 5737'),
    ('192.88.99.0/24', true, '6to4 relay anycast, deprecated', 'RFC 7526'),
    ('192.168.0.0/16', true, 'private use', 'RFC 1918'),
    ('198.18.0.0/15', true, 'benchmarking', 'RFC 2544'),
    ('198.51.100.0/24', true, 'documentation', 'RFC 5737'),
    ('203.0.113.0/24', true, 'documentation', 'RFC 5737'),
    ('224.0.0.0/4', true, 'multicast', 'RFC 5771'),
    ('240.0.0.0/4', true, 'reserved', 'RFC 1112, 4'),
    ('::/128', true, 'unspecified address', 'RFC 4291'),
    ('::1/128', true, 'loopback', 'RFC 4291'),
    ('::ffff:0:0/96', true, 'IPv4-mapped address', 'RFC 4291'),
    ('64:ff9b:1::/48', true, 'local IPv4/IPv6 translation', 'RFC 8215'),
    ('100::/64', true, 'discard only', 'RFC 6666'),
    ('100:0:0:1::/64', true, 'dummy prefix', 'RFC 9780'),
    ('2001::/23', true, 'IETF protocol assignments', 'RFC 2928'),
    ('2001::/32', false, 'Teredo', 'RFC 4380'),
    ('2001:1::1/128', false, 'port control protocol anycast', 'RFC 7723'),
    ('2001:1::2/128', false, 'TURN anycast', 'RFC 8155'),
    ('2001:2::/48', true, 'benchmarking', 'RFC 5180'),
    ('2001:3::/32', false, 'AMT', 'RFC 7450'),
    ('2001:4:112::/48', false, 'AS112', 'RFC 7535'),
    ('2001:10::/28', true, 'ORCHID, deprecated', 'RFC 4843'),
    ('2001:20::/28', false, 'ORCHIDv2', 'RFC 7343'),
    ('2001:30::/28', false, 'drone remote ID', 'RFC 9374'),
    ('2001:db8::/32', true, 'documentation', 'RFC 3849'),
    ('3fff::/20', true, 'documentation', 'RFC 9637'),
    ('5f00::/16', true, 'SRv6 SIDs', 'RFC 9602'),
    ('fc00::/7', true, 'unique local', 'RFC 4193'),
    ('fe80::/10', true, 'link local', 'RFC 4291'),
    ('fec0::/10', true, 'site local, deprecated', 'RFC 3879'),
    ('ff00::/8', true, 'multicast', 'RFC 4291');

-- Leaks -------------------------------------------------------------------------------

create view neighbor_roles as
select
    p.id as peer_id,
    u.local_asn,
    p.asn as peer_asn,
    coalesce(
        case u.received_role when 0 then 'provider' when 1 then 'rs' when 2 then 'rs-client'
            when 3 then 'customer' when 4 then 'peer' end,
        case u.sent_role when 0 then 'customer' when 1 then 'rs-client' when 2 then 'rs'
            when 3 then 'provider' when 4 then 'peer' end,
        as_relationship(u.local_asn, p.asn)
    ) as neighbor_is
from peers p
cross join lateral (
    select
        (e.sent_open->>'asn')::bigint as local_asn,
        (
            select get_byte(decode(c->>'value', 'hex'), 0)
            from jsonb_array_elements(e.sent_open->'capabilities') c
            where c->>'code' = '9' and length(c->>'value') = 2
            limit 1
        ) as sent_role,
        (
            select get_byte(decode(c->>'value', 'hex'), 0)
            from jsonb_array_elements(e.received_open->'capabilities') c
            where c->>'code' = '9' and length(c->>'value') = 2
            limit 1
        ) as received_role
    from peer_events e
    where e.peer_id = p.id and e.kind = 'up'
    order by e.time desc, e.session desc, e.sequence desc
    limit 1
) u;
comment on view neighbor_roles is 'What each neighbour is to its router: by the BGP Role capability of its latest Peer Up (RFC 9234), else by as_relationships; null where neither tells';

create function tier1_leak(as_path text) returns bigint
language plpgsql stable parallel safe
as $$
declare
    tier1 bigint[] := array(select t.asn from tier1_ases t);
    hops bigint[] := path_hops(as_path);
    lowest integer;
begin
    -- From the origin on.
    for place in reverse cardinality(hops)..1 loop
        if hops[place] = any (tier1) then
            if lowest - place >= 2 then
                return hops[place + 1];
            end if;
            lowest := coalesce(lowest, place);
        end if;
    end loop;
    return null;
end
$$;
comment on function tier1_leak(text) is
    'The AS of a path that passed on to one of tier1_ases what had been through another one before, which none of them pays for; null where there is none. Two that are next to each other are peers';

create function valley_leak(as_path text, receiver bigint default null) returns bigint
language plpgsql stable parallel safe
as $$
declare
    hops bigint[] := path_hops(as_path);
    next_is text;
    descended boolean := false;
begin
    if receiver is not null and receiver is distinct from hops[1] then
        hops := receiver || hops;
    end if;
    -- From the origin on.
    for place in reverse cardinality(hops)..2 loop
        next_is := as_relationship(hops[place], hops[place - 1]);
        if descended and next_is in ('provider', 'peer') then
            return hops[place];
        end if;
        descended := descended or coalesce(next_is in ('customer', 'peer'), false);
    end loop;
    return null;
end
$$;
comment on function valley_leak(text, bigint) is
    'The AS of a path that passed on to a provider or peer what had been through a peer or down to a customer before (RFC 7908), by as_relationships; null where there is none that is known. receiver is the AS that the path was received by';

create view route_leaks as
with route as (
    select c.router, c.peer, c.peer_asn, c.rib_view, c.family, c.prefix, c.path_id, c.as_path,
        c.origin_as, c.only_to_customer, c.since, c.peer_id, c.view
    from current_routes c
    where c.safi in (1, 2)
), path as materialized (
    select distinct r.as_path,
        -- What a router has received has passed one step more than its path says.
        case when r.view <= 2 then n.local_asn end as receiver
    from route r
    left join neighbor_roles n on n.peer_id = r.peer_id
    where r.as_path <> ''
), leaking as materialized (
    select p.*, tier1_leak(p.as_path) as tier1,
        -- Where nobody has said what AS are to each other, nothing is to be found.
        case when (select exists (select from as_relationships))
            then valley_leak(p.as_path, p.receiver) end as valley
    from path p
)
select 'tier1' as kind, l.tier1 as leaker, r.router, r.peer, r.peer_asn, r.rib_view, r.family,
    r.prefix, r.path_id, r.as_path, r.origin_as, r.only_to_customer, r.since, r.peer_id
from (select distinct as_path, tier1 from leaking where tier1 is not null) l
join route r on r.as_path = l.as_path
union all
select 'valley', l.valley, r.router, r.peer, r.peer_asn, r.rib_view, r.family,
    r.prefix, r.path_id, r.as_path, r.origin_as, r.only_to_customer, r.since, r.peer_id
from leaking l
join route r on r.as_path = l.as_path
left join neighbor_roles n on n.peer_id = r.peer_id
where l.valley is not null
    and l.receiver is not distinct from case when r.view <= 2 then n.local_asn end
union all
select 'only-to-customer', case when r.view <= 2 then r.peer_asn else n.local_asn end, r.router,
    r.peer, r.peer_asn, r.rib_view, r.family, r.prefix, r.path_id, r.as_path, r.origin_as,
    r.only_to_customer, r.since, r.peer_id
from route r
join neighbor_roles n on n.peer_id = r.peer_id
where r.only_to_customer is not null
    and case
        when r.view <= 2 then n.neighbor_is in ('customer', 'rs-client')
            or n.neighbor_is = 'peer' and r.only_to_customer <> r.peer_asn
        when r.view <= 4 then n.neighbor_is in ('provider', 'rs')
            or n.neighbor_is = 'peer' and r.only_to_customer <> n.local_asn
    end;
comment on view route_leaks is 'Current routes that somebody leaked, and who: tier1 as tier1_leak() says, valley as valley_leak() says, only-to-customer by the attribute OTC (RFC 9234, 5), received or sent';

-- Routes that have no place -----------------------------------------------------------

create function last_address(of_prefix cidr) returns cidr
language sql immutable parallel safe
return set_masklen(broadcast(of_prefix), case family(of_prefix) when 4 then 32 else 128 end)::cidr;
comment on function last_address(cidr) is
    'The last address of a prefix: prefix between p and last_address(p) is p and its more specifics, by an index on prefix also where p is not a constant';

create view bogon_routes as
select b.prefix as bogon, b.name, b.reference, c.router, c.peer, c.peer_asn, c.rib_view,
    c.family, c.prefix, c.path_id, c.as_path, c.origin_as, c.since, c.peer_id
from bogons b
join current_routes c on c.prefix between b.prefix and last_address(b.prefix)
where b.bogon and c.safi in (1, 2)
    and not exists (
        select from bogons nested
        where nested.prefix << b.prefix and nested.prefix >>= c.prefix);
comment on view bogon_routes is 'Current unicast and multicast routes inside of bogons';

create view long_prefixes as
select c.router, c.peer, c.peer_asn, c.rib_view, c.family, c.prefix, c.path_id, c.as_path,
    c.origin_as, c.since, c.peer_id
from current_routes c
where c.safi in (1, 2) and masklen(c.prefix) > case c.afi when 1 then 24 else 48 end;
comment on view long_prefixes is 'Current unicast and multicast routes longer than the global table has them: than /24, and than /48';

create view path_anomalies as
with route as (
    select c.router, c.peer, c.peer_asn, c.rib_view, c.family, c.prefix, c.path_id, c.as_path,
        c.origin_as, c.since, c.peer_id
    from current_routes c
    where c.safi in (1, 2) and c.as_path <> ''
), path as materialized (
    select p.as_path, w.problem, w.asn
    from (select distinct r.as_path from route r) p
    cross join lateral path_problems(p.as_path) w
)
select p.problem, p.asn, r.router, r.peer, r.peer_asn, r.rib_view, r.family, r.prefix,
    r.path_id, r.as_path, r.origin_as, r.since, r.peer_id
from path p
join route r on r.as_path = p.as_path;
comment on view path_anomalies is 'Current unicast and multicast routes with what path_problems() says of their paths, a row each';

create view unexpected_origins as
select distinct c.router, c.peer, c.peer_asn, c.rib_view, c.family, c.prefix, c.path_id,
    c.as_path, c.origin_as, c.since, c.peer_id
from expected_origins e
join current_routes c on c.prefix between e.prefix and last_address(e.prefix)
where c.safi in (1, 2) and expected_origin(c.prefix, c.origin_as) = 'unexpected';
comment on view unexpected_origins is 'Current unicast and multicast routes that contradict expected_origins';

create view route_anomalies as
select 'bogon-prefix' as kind, name || ', ' || reference as detail, router, peer, peer_asn,
    rib_view, family, prefix, path_id, as_path, origin_as, since, peer_id
from bogon_routes
union all
select 'prefix-too-long', '/' || masklen(prefix), router, peer, peer_asn, rib_view, family,
    prefix, path_id, as_path, origin_as, since, peer_id
from long_prefixes
union all
select problem, 'AS' || asn, router, peer, peer_asn, rib_view, family, prefix, path_id, as_path,
    origin_as, since, peer_id
from path_anomalies
union all
select 'leak-' || kind, 'by AS' || leaker, router, peer, peer_asn, rib_view, family, prefix,
    path_id, as_path, origin_as, since, peer_id
from route_leaks
union all
select 'unexpected-origin', 'AS' || origin_as, router, peer, peer_asn, rib_view, family, prefix,
    path_id, as_path, origin_as, since, peer_id
from unexpected_origins;
comment on view route_anomalies is 'Everything that is wrong with current routes, of one kind after another';

-- Hijacks -----------------------------------------------------------------------------

create view moas_prefixes as
select c.family, c.prefix,
    array_agg(distinct c.origin_as order by c.origin_as) as origins,
    count(distinct c.peer_id) as peers,
    count(distinct c.router) as routers,
    max(c.since) as since
from current_routes c
where c.safi in (1, 2) and c.origin_as is not null
group by c.family, c.prefix
having min(c.origin_as) <> max(c.origin_as);
comment on view moas_prefixes is 'Prefixes that more than one AS originates now (MOAS), how many peers and routers have them, and since when the newest of their routes is as it is';

create function origin_changes(since timestamptz, until timestamptz default 'infinity')
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
comment on function origin_changes(timestamptz, timestamptz) is
    'Changes of a route by which its origin became another, what it was and how long that had lasted. Left out are paths that end with a set or are empty, whose origin is not one AS, and those whose version before retention has deleted';

-- A pair of prefix and origin that the window has announced and nothing before it had is
-- looked at: whose the prefix was, and whose the one that contains it.
create function possible_hijacks(since timestamptz, until timestamptz default 'infinity')
returns table (
    prefix cidr,
    origin_as bigint,
    kinds text[],
    others bigint[],
    covering cidr,
    through_other boolean,
    expected text,
    first_seen timestamptz,
    last_seen timestamptz,
    is_current boolean,
    peers bigint,
    routers bigint,
    as_path text
)
language sql stable parallel safe rows 100
as $$
    with pair as materialized (
        select e.prefix, e.origin_as, min(e.time) as began
        from route_events e
        where e.time >= since and e.time < until and e.origin_as is not null
            and e.safi in (1, 2) and e.change in ('new', 'returned', 'changed')
            and (e.changed is null or e.changed & 8 <> 0)
        group by e.prefix, e.origin_as
    ), fresh as materialized (
        select p.* from pair p
        where not exists (
                select from routes r
                where r.prefix = p.prefix and r.origin_as = p.origin_as and r.time < since)
            and not exists (
                select from route_events e
                where e.prefix = p.prefix and e.origin_as = p.origin_as and e.time < since
                    and e.safi in (1, 2))
    ), suspect as (
        select f.*, o.origins as own, c.prefix as covering, c.origins as covers
        from fresh f
        cross join lateral (
            select array_agg(distinct known.origin_as order by known.origin_as) as origins
            from (
                select e.origin_as from route_events e
                where e.prefix = f.prefix and e.time < f.began and e.safi in (1, 2)
                union all
                select r.origin_as from routes r
                where r.prefix = f.prefix and r.time < f.began and r.safi in (1, 2)
            ) known
            where known.origin_as <> f.origin_as
        ) o
        left join lateral (
            select r.prefix, array_agg(distinct r.origin_as order by r.origin_as) as origins
            from routes r
            where r.prefix = any (supernets(f.prefix)) and r.prefix <> f.prefix
                and masklen(r.prefix) > 0 and r.first_seen < f.began and r.safi in (1, 2)
                and r.origin_as is not null
            group by r.prefix
            order by masklen(r.prefix) desc
            limit 1
        ) c on true
        where o.origins is not null or f.origin_as <> all (c.origins)
            or expected_origin(f.prefix, f.origin_as) = 'unexpected'
    )
    select s.prefix, s.origin_as,
        array_remove(array[
            case when s.own is not null then 'new-origin' end,
            case when bool_or(h.change = 'changed'
                and path_origin(h.was->>'as_path') <> s.origin_as) then 'origin-change' end,
            case when exists (
                    select from current_routes c
                    where c.prefix = s.prefix and c.origin_as <> s.origin_as
                        and c.safi in (1, 2))
                and bool_or(h.lasted is null) then 'moas' end,
            case when s.own is null and s.origin_as <> all (s.covers) then 'more-specific' end,
            case when expected_origin(s.prefix, s.origin_as) = 'unexpected'
                then 'unexpected-origin' end
        ], null),
        coalesce(s.own, case when s.origin_as <> all (s.covers) then s.covers end),
        case when s.own is null and s.origin_as <> all (s.covers) then s.covering end,
        bool_and(as_path_asns(h.as_path) && coalesce(s.own, s.covers)),
        expected_origin(s.prefix, s.origin_as),
        min(h.time),
        max(coalesce(h.ended, h.time)),
        bool_or(h.ended is null),
        count(distinct h.peer_id),
        count(distinct h.router),
        (array_agg(h.as_path order by h.time, h.session, h.sequence))[1]
    from suspect s
    cross join lateral route_history(s.prefix, since, until) h
    where h.origin_as = s.origin_as and h.change in ('new', 'returned', 'changed')
        and h.family in ('ipv4-unicast', 'ipv6-unicast', 'ipv4-multicast', 'ipv6-multicast')
    group by s.prefix, s.origin_as, s.own, s.covering, s.covers
$$;
comment on function possible_hijacks(timestamptz, timestamptz) is
    'Origins that a prefix was first heard from in a window although others were known: kinds says whether the prefix had another origin (new-origin), a route of it changed (origin-change), the other is still there (moas), a prefix that contains it is another''s (more-specific), or expected_origins says otherwise (unexpected-origin). others and covering say whose and which, through_other that every path leads through one of them, as that of a customer does. last_seen is when its last route ended or, where is_current, began';
