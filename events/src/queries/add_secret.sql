-- add_secret: store what is sealed for a subscriber.
insert into tidings.secret (subscriber_id, purpose, legacy, sealed, public_key, fingerprint)
values ($1, $2, $3, $4, $5, $6)
returning secret_id as "secret_id!"
