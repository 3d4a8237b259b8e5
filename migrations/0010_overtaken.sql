-- A peer that went down by the word of one session is down for those that held it before,
-- though they have not said so yet, or, where their collector is dead, never will.

alter table peer_holds
    add column router_time timestamptz,
    add column overtaken boolean not null default false;
comment on column peer_holds.router_time is 'The router''s time of the Peer Up; null where it gives none';
comment on column peer_holds.overtaken is 'Another session has told its end, this one not yet: what it says until then is of the past';
comment on column peer_holds.ended is 'Receive time of the Peer Down, its own or another session''s; null while it holds';
