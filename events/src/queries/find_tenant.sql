-- find_tenant: read the tenant and the view of a subscriber that is not deleted.
select s.tenant, s.view as "view: View" from tidings.subscriber s
where s.subscriber_id = $1 and s.subscriber_id <> 0 and s.deleted_at is null
