//! The current tables as the history alone has them, until the database has its own.

use sqlx::{Connection as _, PgConnection};

const VIEWS: &str = r"
create or replace function pg_temp.view(name text, events text, key text) returns void
language plpgsql as $$
begin
    execute format($view$
        create view %1$s as
        select
            r.identity as router, r.sys_name, peer_type_name(p.type) as peer_type,
            distinguisher_text(p.distinguisher) as distinguisher, p.address as peer,
            p.loc_rib_name, rib_view_name(e.view) as rib_view,
            family_name(e.afi, e.safi) as family, e.*
        from (
            select distinct on (peer_id, view, afi, safi, path_id, %3$s) *
            from %2$s
            order by peer_id, view, afi, safi, path_id, %3$s,
                session desc, sequence desc, ordinal desc
        ) e
        join peers p on p.id = e.peer_id
        join routers r on r.id = p.router_id
        left join lateral (
            select session, sequence, ordinal from peer_events
            where peer_id = e.peer_id and kind in ('up', 'down')
            order by session desc, sequence desc, ordinal desc limit 1
        ) d on true
        where e.action = 'announce'
            and (d.session is null
                or (e.session, e.sequence, e.ordinal) > (d.session, d.sequence, d.ordinal))
    $view$, name, events, key);
end
$$;
select pg_temp.view('current_routes', 'route_events', 'prefix, route_distinguisher');
select pg_temp.view('current_evpn_routes', 'evpn_events', 'nlri_text');
select pg_temp.view('current_other_routes', 'other_events', 'nlri');
";

pub(crate) async fn create(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let there: bool = sqlx::query_scalar("select to_regclass('current_routes') is not null")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    if !there {
        sqlx::raw_sql(VIEWS).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}
