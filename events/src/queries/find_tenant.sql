-- find_tenant: read the tenant of a subscriber that is not deleted.
select s.tenant from tidings.subscriber s
where s.subscriber_id = $1 and s.subscriber_id <> 0 and s.deleted_at is null
