-- Who logs in beside the owner: Grafana, which only reads. After the migration, which makes the
-- role that it is a member of; again and again.
do $$
begin
    if to_regrole('grafana') is null then
        create role grafana login password 'ribstream' in role ribstream_reader;
    end if;
end
$$;
