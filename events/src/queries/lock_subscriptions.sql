-- lock_subscriptions: let edits of subscriptions and removals of subscribers follow each other.
select pg_advisory_xact_lock(1414087765, 0)::text
