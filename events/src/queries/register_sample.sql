-- register_sample: register a made-up event of a type, to see whether that is possible.
select tidings.register_event($1, $2::text::json, version => $3::smallint, scope => $4)
