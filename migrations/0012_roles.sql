-- Who may do what. The owner, who migrates, is a login role: TimescaleDB runs its jobs as the
-- owner of the table and wants one that may log in. All others are members of group roles,
-- which are the server's, shared by its databases.
--
-- What an ingester has to do and only an owner may is in functions that run as their owner.

create function kept_table(of_table text) returns regclass
language plpgsql stable
set search_path = pg_catalog, public, pg_temp
as $$
begin
    if of_table not in ('route_events', 'evpn_events', 'other_events', 'peer_events',
        'stats_reports', 'mirrored_messages', 'dump_events', 'raw_messages',
        'processing_times')
    then
        raise exception '% is not a table that is kept for a time', quote_ident(of_table)
            using errcode = 'invalid_parameter_value';
    end if;
    return format('public.%I', of_table)::regclass;
end
$$;
comment on function kept_table(text) is
    'The hypertable of this name, an error where it is none of those that are kept for a time';

create function drop_history(of_table text, before timestamptz) returns bigint
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
as $$
begin
    return (select count(*) from drop_chunks(kept_table(of_table), before));
end
$$;
comment on function drop_history(text, timestamptz) is
    'Drops the chunks of a hypertable that end before a time, as its owner; how many there were. Ingesters call it on the Apache edition of TimescaleDB';

create function keep_history(of_table text, keep interval, columnstore_after interval)
returns void
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    target regclass := kept_table(of_table);
    kept interval;
    stored_after interval;
begin
    select (config->>'drop_after')::interval into kept
    from timescaledb_information.jobs
    where hypertable_schema = 'public' and hypertable_name = of_table
        and proc_name = 'policy_retention';
    if kept is distinct from keep then
        if kept is not null then
            perform remove_retention_policy(target);
        end if;
        if keep is not null then
            perform add_retention_policy(target, keep);
        end if;
    end if;

    -- The columns that have an index get a sparse one by themselves.
    if columnstore_after is not null and not (
        select compression_enabled from timescaledb_information.hypertables
        where hypertable_schema = 'public' and hypertable_name = of_table)
    then
        execute format('alter table %s set (timescaledb.compress, '
            'timescaledb.compress_segmentby = %L, timescaledb.compress_orderby = %L)',
            target,
            case of_table when 'raw_messages' then 'router_id, session' else 'peer_id' end,
            'time');
    end if;
    select (config->>'compress_after')::interval into stored_after
    from timescaledb_information.jobs
    where hypertable_schema = 'public' and hypertable_name = of_table
        and proc_name = 'policy_compression';
    if stored_after is distinct from columnstore_after then
        if stored_after is not null then
            perform remove_compression_policy(target);
        end if;
        if columnstore_after is not null then
            perform add_compression_policy(target, columnstore_after);
        end if;
    end if;
end
$$;
comment on function keep_history(text, interval, interval) is
    'Makes a hypertable''s policies of retention and columnstore what is asked for, as its owner; null for none. It changes nothing that is so already. Ingesters call it on the Community edition of TimescaleDB';

create function begin_replay() returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    drop schema if exists ribstream_replay cascade;
    create schema ribstream_replay;
    comment on schema ribstream_replay is 'A replay is at work here, or was interrupted';
    execute format('grant usage, create on schema ribstream_replay to %I', session_user);
end
$$;
comment on function begin_replay() is
    'Makes the schema ribstream_replay anew, in which the caller may make the tables of a replay';

create function end_replay() returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    drop schema ribstream_replay cascade;
end
$$;
comment on function end_replay() is 'Drops what begin_replay() made';

revoke execute on function drop_history(text, timestamptz),
    keep_history(text, interval, interval), begin_replay(), end_replay() from public;

create function grant_roles() returns table (role text, present boolean)
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
    operators constant text[] := '{expected_origins, as_relationships, tier1_ases, bogons}';
    -- What migrate alone writes.
    migrations constant text[] := '{_sqlx_migrations, aggregates}';
    -- What others have in the schema is not ours to show.
    owners constant oid[] := array[
        (select relowner from pg_class where oid = 'public.routers'::regclass),
        (select oid from pg_roles where rolname = current_user)];
    ours record;
begin
    -- A dump that was restored without privileges lets everybody call what runs as the owner.
    for ours in
        select p.oid::regprocedure as name
        from pg_proc p
        where p.pronamespace = 'public'::regnamespace and p.prosecdef
            and p.proowner = any (owners)
            and not exists (select from pg_depend d
                where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
            and has_function_privilege('public', p.oid, 'execute')
    loop
        execute format('revoke execute on function %s from public', ours.name);
    end loop;

    foreach role in array array['ribstream_reader', 'ribstream_ingester', 'ribstream_operator'] loop
        if to_regrole(role) is null then
            begin
                execute format('create role %I nologin', role);
            exception
                -- The migration of another database was first.
                when duplicate_object or unique_violation then null;
                when insufficient_privilege then null;
            end;
        end if;
        present := to_regrole(role) is not null;
        return next;
        continue when not present;

        -- What a role may do already, as everybody may or by an earlier grant, is left alone: it
        -- would be written to every chunk again.
        if not (has_database_privilege(role, current_database(), 'connect')
            and has_database_privilege(role, current_database(), 'temporary'))
        then
            execute format('grant connect, temporary on database %I to %I',
                current_database(), role);
        end if;
        if not has_schema_privilege(role, 'public', 'usage') then
            execute format('grant usage on schema public to %I', role);
        end if;
        -- All that the owner has in the schema but what an extension brought.
        for ours in
            select c.oid::regclass as name, c.relname,
                case
                    when role = 'ribstream_ingester' and c.relkind = 'r'
                        and c.relname <> all (operators || migrations)
                        then array['select', 'insert', 'update', 'delete']
                    when role = 'ribstream_operator' and c.relname = any (operators)
                        then array['select', 'insert', 'update', 'delete']
                    else array['select']
                end as privileges
            from pg_class c
            where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'm')
                and c.relowner = any (owners)
                and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
            order by c.relname
        loop
            if exists (select from unnest(ours.privileges) as p
                where not has_table_privilege(role, ours.name, p))
            then
                execute format('grant %s on %s to %I',
                    array_to_string(ours.privileges, ', '), ours.name, role);
            end if;
        end loop;
        for ours in
            select p.oid::regprocedure as name
            from pg_proc p
            where p.pronamespace = 'public'::regnamespace and p.proowner = any (owners)
                and (not p.prosecdef or role = 'ribstream_ingester')
                and not exists (select from pg_depend d
                    where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
                and not has_function_privilege(role, p.oid, 'execute')
            order by 1
        loop
            execute format('grant execute on function %s to %I', ours.name, role);
        end loop;
    end loop;
end
$$;
comment on function grant_roles() is
    'Makes the roles ribstream_reader, ribstream_ingester and ribstream_operator where they are missing and may be made, and grants them what they need of all that the owner has in the schema; and nobody else what runs as its owner; which of them there are. migrate calls it at its end';
