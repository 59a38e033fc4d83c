-- add_tombstones: nothing of these is kept from now on.
select added as "added!", erased_at as "erased_at!" from tidings.add_tombstones_v1($1, $2)
