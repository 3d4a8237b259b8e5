-- What is kept only where it is asked for: BMP messages as routers sent them, and when each
-- event passed where. Both join to every event of the history.

create function bmp_message_type_name(type integer) returns text
language sql immutable parallel safe
return case type
    when 0 then 'route-monitoring'
    when 1 then 'stats-report'
    when 2 then 'peer-down'
    when 3 then 'peer-up'
    when 4 then 'initiation'
    when 5 then 'termination'
    when 6 then 'route-mirroring'
    else type::text
end;
comment on function bmp_message_type_name(integer) is
    'Name of a BMP message type (RFC 7854, 4.1); the number itself where it has no name';

create table raw_messages (
    time timestamptz not null,
    router_time timestamptz,
    session bigint,
    sequence bigint,
    router_id integer,
    router_address inet,
    collector text,
    message_type smallint not null,
    message bytea not null,
    kafka_time timestamptz,
    stored timestamptz not null default statement_timestamp()
);
comment on table raw_messages is 'Every BMP message as the router sent it, where ingesters run with --raw';
comment on column raw_messages.time is 'When the collector received the message: to the microsecond that of the events that it became';
comment on column raw_messages.router_time is 'The router''s own timestamp; null where it gave none, and of messages that have no place for one';
comment on column raw_messages.session is 'BMP session, as in bmp_sessions; null where another program than Ribstream''s collector wrote the record';
comment on column raw_messages.sequence is 'Which message of the session this is; null where session is';
comment on column raw_messages.router_id is 'The router, as in routers; null where session is';
comment on column raw_messages.router_address is 'The router''s address, as the record''s OpenBMP header has it';
comment on column raw_messages.collector is 'The collector''s name, as the record''s OpenBMP header has it';
comment on column raw_messages.message_type is 'BMP message type, see bmp_message_type_name()';
comment on column raw_messages.message is 'The message, from the version of its Common Header to its last octet';
comment on column raw_messages.kafka_time is 'The timestamp of the record of the raw topic';
comment on column raw_messages.stored is 'When the row was written, by the database''s clock: just before its transaction was committed';

select create_hypertable('raw_messages', by_range('time', interval '1 day'), create_default_indexes => false);
create index raw_messages_time on raw_messages (time);
create index raw_messages_session on raw_messages (session, sequence) where session is not null;

create table processing_times (
    time timestamptz not null,
    router_time timestamptz,
    session bigint not null,
    sequence bigint not null,
    peer_id integer not null,
    partition integer not null,
    record_offset bigint not null,
    kafka_time timestamptz,
    stored timestamptz not null default statement_timestamp()
);
comment on table processing_times is 'When each event of a peer passed where, and its place in Kafka, where ingesters run with --processing-times. time, session, sequence and peer_id join it to the rows of the event in the tables of history';
comment on column processing_times.time is 'When the collector received the message';
comment on column processing_times.router_time is 'When it happened, by the router''s own timestamp; null where it gave none';
comment on column processing_times.session is 'BMP session, as in bmp_sessions';
comment on column processing_times.sequence is 'Which message of the session this is';
comment on column processing_times.peer_id is 'The peer, as in peers';
comment on column processing_times.partition is 'The partition of the events topic that has the event''s record';
comment on column processing_times.record_offset is 'The record''s offset in the partition';
comment on column processing_times.kafka_time is 'The record''s timestamp: when the collector handed it to its Kafka client, or when the broker appended it, as the topic''s message.timestamp.type says';
comment on column processing_times.stored is 'When the row was written, by the database''s clock: last in its transaction, just before it was committed';

select create_hypertable('processing_times', by_range('time', interval '1 day'), create_default_indexes => false);
create index processing_times_time on processing_times (time);

create function raw_message(peer integer, received timestamptz, bmp_session bigint, number bigint)
returns setof raw_messages
language sql stable parallel safe
begin atomic
    select m.*
    from raw_messages m
    where m.session = bmp_session and m.sequence = number and m.time = received
        and m.router_id = (select p.router_id from peers p where p.id = peer);
end;
comment on function raw_message(integer, timestamptz, bigint, bigint) is
    'The BMP message that an event was, by the event''s peer_id, time, session and sequence. No row where raw messages were not stored, and for what no message said: the loss of a session, the end of a dump that had no End-of-RIB';

create view raw_log as
select
    m.time,
    m.router_time,
    coalesce(r.identity, host(m.router_address)) as router,
    r.sys_name,
    m.collector,
    bmp_message_type_name(m.message_type) as message_type,
    length(m.message) as octets,
    m.message,
    m.kafka_time,
    m.stored,
    m.router_id,
    m.session,
    m.sequence
from raw_messages m
left join routers r on r.id = m.router_id;
comment on view raw_log is 'raw_messages with routers and message types by name';

create view event_delays as
select
    t.time,
    r.identity as router,
    p.address as peer,
    t.time - t.router_time as to_collector,
    t.kafka_time - t.time as to_kafka,
    t.stored - t.kafka_time as to_database,
    t.stored - t.time as collector_to_database,
    t.stored - t.router_time as router_to_database,
    t.partition,
    t.record_offset,
    t.peer_id,
    t.session,
    t.sequence
from processing_times t
join peers p on p.id = t.peer_id
join routers r on r.id = p.router_id;
comment on view event_delays is 'How long each event took from where to where, where processing times are stored. Each clock is its own: a router''s that is ahead of the collector''s gives a negative to_collector, and kafka_time has milliseconds where time has microseconds';
