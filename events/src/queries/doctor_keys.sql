-- doctor_keys: read under which keys secrets are sealed, and for how many subscribers; never the secrets.
select substr(k.sealed, 1, 5) as "header!", count(distinct k.subscriber_id)::int as "subscribers!", min(s.name) as "name!"
from tidings.secret k
join tidings.subscriber s using (subscriber_id)
where k.expires_at is null or k.expires_at > clock_timestamp()
group by 1
order by 2 desc
