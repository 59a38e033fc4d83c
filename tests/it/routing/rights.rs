//! Registering runs with the rights of the schema's owner; its caller has no way into them.

use sqlx::{Connection, PgConnection};
use tidings_tests::World;

/// Functions and operators with the names that registering uses, made by the caller, first in its search path.
/// Whoever runs them is written down.
const TRAP: &str = "
    create table trap.hit (name text, who text);
    grant insert on trap.hit to public;
    create function trap.texteq(a text, b text) returns bool language plpgsql as $$
      begin insert into trap.hit values ('=', current_user); return a operator(pg_catalog.=) b; end $$;
    create operator trap.= (leftarg = text, rightarg = text, function = trap.texteq);
    create function trap.int2eq(a int2, b int2) returns bool language plpgsql as $$
      begin insert into trap.hit values ('=', current_user); return a operator(pg_catalog.=) b; end $$;
    create operator trap.= (leftarg = int2, rightarg = int2, function = trap.int2eq);
    create function trap.later(a timestamptz, b timestamptz) returns bool language plpgsql as $$
      begin insert into trap.hit values ('>', current_user); return a operator(pg_catalog.>) b; end $$;
    create operator trap.> (leftarg = timestamptz, rightarg = timestamptz, function = trap.later);
    create function trap.cat(a text, b text) returns text language plpgsql as $$
      begin insert into trap.hit values ('||', current_user); return a operator(pg_catalog.||) b; end $$;
    create operator trap.|| (leftarg = text, rightarg = text, function = trap.cat);
    create function trap.times(a float8, b int) returns float8 language plpgsql as $$
      begin insert into trap.hit values ('*', current_user); return a operator(pg_catalog.*) b; end $$;
    create operator trap.* (leftarg = float8, rightarg = int, function = trap.times);
    create function trap.clock_timestamp() returns timestamptz language plpgsql as $$
      begin insert into trap.hit values ('clock_timestamp', current_user); return pg_catalog.clock_timestamp(); end $$;
    create function trap.gen_random_uuid() returns uuid language plpgsql as $$
      begin insert into trap.hit values ('gen_random_uuid', current_user); return pg_catalog.gen_random_uuid(); end $$;
    create function trap.octet_length(a text) returns int language plpgsql as $$
      begin insert into trap.hit values ('octet_length', current_user); return pg_catalog.octet_length(a); end $$;
    create function trap.unnest(a int[]) returns setof int language plpgsql as $$
      begin insert into trap.hit values ('unnest', current_user); return query select pg_catalog.unnest(a); end $$;
    create function trap.uuid_v7(a timestamptz) returns uuid language plpgsql as $$
      begin insert into trap.hit values ('uuid_v7', current_user); return pg_catalog.gen_random_uuid(); end $$;
    create table trap.event_type as select * from tidings.event_type where false;
    create domain trap.json as text;
    create domain trap.uuid as text;";

#[tokio::test]
async fn search_path_of_the_caller_changes_nothing_of_registering() {
    let world = World::new(&["order:placed", "order:shipped"]).await;
    world.subscriber("plain", "order:placed").await;
    let id = world.bare_subscriber("scoped", "memory", serde_json::json!({})).await;
    world.subscribe(id, "order:shipped", "shop=s1", true).await;
    world.execute("create schema trap").await;
    world.execute(TRAP).await;
    let mut conn = PgConnection::connect(&world.database.url()).await.unwrap();
    sqlx::query("set search_path = trap, pg_catalog").execute(&mut conn).await.unwrap();
    // The trap bites whoever names nothing in full.
    let bites: bool =
        sqlx::query_scalar("select 'a'::text = 'a'::text").fetch_one(&mut conn).await.unwrap();
    assert!(bites);
    assert_eq!(world.value::<i64>("select count(*) from trap.hit").await, 1);
    for statement in [
        "select tidings.register_event('order:placed', '{}'::pg_catalog.json)",
        "select tidings.register_event('order:shipped', '{}'::pg_catalog.json, scope => 'shop=s1', ordering_key => 'k')",
        "select tidings.register_events('[{\"type\": \"order:placed\", \"payload\": {}}]'::pg_catalog.json)",
        "select tidings.register_v1('order:placed', 1::pg_catalog.int2, '{}', null, null, '', '', null, null, null, null, null)",
        "select tidings.register_v1('order:shipped', 1::pg_catalog.int2, '{}', null, null, 'acme', 'shop=s1', 'k', 'once', 1, null, null)",
        "select tidings.register_many_v1(array['order:placed'], array[1::pg_catalog.int2], array['{}'], array[null], array[null],
           array[''], array[''], array[null])",
    ] {
        sqlx::query(statement).execute(&mut conn).await.unwrap();
    }
    assert_eq!(world.value::<i64>("select count(*) from tidings.event").await, 6);
    let hits = "select coalesce(string_agg(distinct name, ' '), '') from trap.hit";
    assert_eq!(world.value::<String>(hits).await, "=", "only the one that was meant to");
    assert_eq!(world.value::<i64>("select count(*) from trap.hit").await, 1);
}
