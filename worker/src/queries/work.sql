-- work: settle what is done, then fetch what is due, in one call.
select lane, due_at, delivery_id, parked, subscription_id, key_hash, attempt, crashes, first_due_at, event_id, type,
  version, tenant, scope, ordering_key, occurred_at, payload, headers, call, cut
from tidings.work_v2($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
  $22, $23, $24, $25, $26)
