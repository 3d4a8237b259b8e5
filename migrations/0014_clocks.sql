-- Collectors have clocks of their own, which may be wrong, or be set. What different sessions told
-- is compared by when it came into the topic: that is one clock, the brokers', where the topic has
-- their time. What one collector sends in one batch has one such time; receive times tell there
-- which was first.

alter table routes add column heard_logged timestamptz;
alter table evpn_routes add column heard_logged timestamptz;
alter table other_routes add column heard_logged timestamptz;
alter table peer_holds add column logged timestamptz;
alter table rib_dumps add column logged timestamptz;
alter table dump_events add column logged timestamptz;

comment on column routes.heard_logged is 'When that came into the topic, by the brokers'' clock; where the topic keeps the collectors'' own times, by theirs. Null in rows that schema version 13 wrote last';
comment on column evpn_routes.heard_logged is 'When that came into the topic, by the brokers'' clock; where the topic keeps the collectors'' own times, by theirs. Null in rows that schema version 13 wrote last';
comment on column other_routes.heard_logged is 'When that came into the topic, by the brokers'' clock; where the topic keeps the collectors'' own times, by theirs. Null in rows that schema version 13 wrote last';
comment on column peer_holds.logged is 'When the Peer Up came into the topic, by the same clock as heard_logged of the routes';
comment on column rib_dumps.logged is 'When that Peer Up came into the topic, by the same clock as heard_logged of the routes';
comment on column dump_events.logged is 'When that Peer Up came into the topic, by the same clock as heard_logged of the routes';

comment on column routers.last_heard is 'When its latest session start, heartbeat or session end came into the topic, by the brokers'' clock; where the topic keeps the collectors'' own times, by theirs';
comment on column bmp_sessions.last_heard is 'When the latest session start, heartbeat or session end came into the topic, by the brokers'' clock; where the topic keeps the collectors'' own times, by theirs';
comment on column ingest_offsets.last_received is 'When the latest event that is in the tables came into the topic, by the same clock: the topic''s own time, by which it is judged what is old and who is silent';

-- What is current: the condition on dumps alone is another.
do $$
declare
    name text;
    body text;
    was constant text := 'r.heard >= d.began';
begin
    foreach name in array array['current_routes', 'current_evpn_routes', 'current_other_routes']
    loop
        body := pg_get_viewdef(name::regclass);
        if strpos(body, was) = 0 then
            raise exception 'the view % is not as migration 4 made it', name;
        end if;
        execute format('create or replace view %I as %s', name,
            replace(body, was, '(coalesce(r.heard_logged, r.heard), r.heard) '
                '>= (coalesce(d.logged, d.began), d.began)'));
    end loop;
end
$$;
