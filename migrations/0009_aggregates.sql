-- What the aggregates are made of. They themselves are made by `ribstream-ingester migrate`
-- after the migrations, as continuous aggregates where the edition of TimescaleDB has them
-- and as views of the same columns where not.

create table aggregates (
    name text primary key,
    edition text not null,
    definition text not null,
    made timestamptz not null default now()
);
comment on table aggregates is 'The aggregates that migrate has made. It makes those again whose definition or edition is not what it would make';
comment on column aggregates.name is 'The view or continuous aggregate';
comment on column aggregates.edition is 'community: a continuous aggregate, or a view upon such; apache: a view of the history itself';
comment on column aggregates.definition is 'Digest of the statement that made it';
comment on column aggregates.made is 'When';

create function peer_uptime(since timestamptz, until timestamptz, width interval default '1 day')
returns table (bucket timestamptz, peer_id integer, up interval, share double precision, epochs bigint)
language sql stable parallel safe
begin atomic
    select
        b.bucket,
        e.peer_id,
        sum(s.till - s.lived),
        round((extract(epoch from sum(s.till - s.lived))
            / extract(epoch from least(b.bucket + width, until) - greatest(b.bucket, since)))::numeric, 6)::double precision,
        count(*)
    from generate_series(time_bucket(width, since), until, width) as b (bucket)
    join peer_epochs e on e.began < least(b.bucket + width, until)
        and (e.ended is null or e.ended > greatest(b.bucket, since))
    cross join lateral (
        select greatest(b.bucket, since, e.began) as lived,
            least(b.bucket + width, until, coalesce(e.ended, 'infinity')) as till
    ) s
    where b.bucket < until
    group by b.bucket, e.peer_id;
end;
comment on function peer_uptime(timestamptz, timestamptz, interval) is
    'How long each peer was up in each stretch of a width between two times, which share of the stretch that is, and in how many epochs. A peer without a row was down';
