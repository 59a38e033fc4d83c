-- revoke_key: end a key.
select tidings.revoke_key_v1($1) as "known!"
