//! Registering runs with the rights of the schema's owner; its caller has no way into them.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tidings_tests::World;
use uuid::Uuid;

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
    create function trap.check(a text) returns bool language plpgsql as $$
      begin insert into trap.hit values ('a type', current_user); return true; end $$;
    grant usage on schema trap to public;
    grant select on all tables in schema trap to public;";

/// What a caller who may make temporary objects puts in the way of types and tables.
const TEMPORARY: &str = "
    create domain pg_temp.uuid as pg_catalog.uuid check (trap.check(value::pg_catalog.text));
    create domain pg_temp.text as pg_catalog.text check (trap.check(value::pg_catalog.text));
    create domain pg_temp.json as pg_catalog.json check (trap.check(value::pg_catalog.text));
    create domain pg_temp.timestamptz as pg_catalog.timestamptz check (trap.check(value::pg_catalog.text));
    create domain pg_temp.int4 as pg_catalog.int4 check (trap.check(value::pg_catalog.text));
    create domain pg_temp.int8 as pg_catalog.int8 check (trap.check(value::pg_catalog.text));
    create domain pg_temp.bool as pg_catalog.bool check (trap.check(value::pg_catalog.text));
    set search_path = trap, pg_catalog";

/// Everything that a caller may call.
const CALLS: [&str; 6] = [
    "select tidings.register_event('order:placed', '{}'::pg_catalog.json)",
    "select tidings.register_event('order:shipped', '{}'::pg_catalog.json, scope => 'shop=s1', ordering_key => 'k')",
    r#"select tidings.register_events('[{"type": "order:placed", "payload": {}}]'::pg_catalog.json)"#,
    "select tidings.register_v1('order:placed', 1::pg_catalog.int2, '{}', null, null, '', '', null, null, null, null, null)",
    "select tidings.register_v1('order:shipped', 1::pg_catalog.int2, '{}', null, null, 'acme', 'shop=s1', 'k', 'once', 1, null, null)",
    "select tidings.register_many_v1(array['order:placed']::pg_catalog.text[], array[1::pg_catalog.int2],
       array['{}']::pg_catalog.text[], array[null]::pg_catalog.text[], array[null]::pg_catalog.text[],
       array['']::pg_catalog.text[], array['']::pg_catalog.text[], array[null]::pg_catalog.text[])",
];

#[tokio::test]
async fn caller_cannot_run_anything_of_its_own_with_the_rights_of_the_owner() {
    let world = World::new(&["order:placed", "order:shipped"]).await;
    world.subscriber("plain", "order:placed").await;
    let id = world.bare_subscriber("scoped", "memory", serde_json::json!({})).await;
    world.subscribe(id, "order:shipped", "shop=s1", true).await;
    world.execute("create schema trap").await;
    world.execute(TRAP).await;
    // Roles belong to the whole server.
    let role = format!("caller_{}", Uuid::new_v4().simple());
    for statement in [
        format!("create role {role}"),
        format!("grant usage on schema tidings to {role}"),
        format!(
            "grant execute on function tidings.register_event, tidings.register_events, tidings.register_v1,
               tidings.register_many_v1 to {role}"
        ),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&world.pool).await.unwrap();
    }
    for call in CALLS {
        // A session of its own each, because a function is compiled once in a session.
        let mut conn = PgConnection::connect(&world.database.url()).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("set role {role}"))).execute(&mut conn).await.unwrap();
        sqlx::raw_sql(TEMPORARY).execute(&mut conn).await.unwrap();
        // The trap bites whoever names nothing in full.
        sqlx::raw_sql("select 'a'::pg_catalog.text = 'a'::pg_catalog.text, 'a'::text")
            .execute(&mut conn)
            .await
            .unwrap();
        sqlx::raw_sql(call).execute(&mut conn).await.unwrap();
        for forbidden in [
            "select * from tidings.event",
            "insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id)
             values (pg_catalog.gen_random_uuid(), now(), now(), 1)",
            "select tidings.remove_subscriber_v1(1)",
        ] {
            let refused = sqlx::raw_sql(forbidden).execute(&mut conn).await.unwrap_err();
            assert!(refused.to_string().contains("permission denied"), "{forbidden}: {refused}");
        }
    }
    assert_eq!(world.value::<i64>("select count(*) from tidings.event").await, 6);
    let hits: Vec<(String, bool)> =
        sqlx::query_as("select distinct name, who = $1 from trap.hit order by 1")
            .bind(&role)
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert!(hits.contains(&("=".to_owned(), true)) && hits.contains(&("a type".to_owned(), true)));
    assert!(hits.iter().all(|(_, by_caller)| *by_caller), "run by the owner: {hits:?}");
    sqlx::raw_sql(AssertSqlSafe(format!("drop owned by {role}; drop role {role}")))
        .execute(&world.pool)
        .await
        .unwrap();
}

/// What the role may do in the schema, by the catalogs: `execute register_event` for example. `public` counts.
const MAY: &str = "
    select 'use the schema' as may where has_schema_privilege($1, 'tidings', 'usage')
    union all
    select 'create in the schema' where has_schema_privilege($1, 'tidings', 'create')
    union all
    select 'execute ' || p.proname from pg_proc p
    where p.pronamespace = 'tidings'::regnamespace and has_function_privilege($1, p.oid, 'execute')
    union all
    select r.deed || ' ' || c.relname
    from pg_class c, unnest(array['select', 'insert', 'update', 'references']) as r (deed)
    where c.relnamespace = 'tidings'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
      and has_any_column_privilege($1, c.oid, r.deed)
    union all
    select r.deed || ' ' || c.relname
    from pg_class c, unnest(array['delete', 'truncate', 'trigger']) as r (deed)
    where c.relnamespace = 'tidings'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
      and has_table_privilege($1, c.oid, r.deed)
    union all
    select r.deed || ' ' || c.relname
    from pg_class c, unnest(array['usage', 'select', 'update']) as r (deed)
    where c.relnamespace = 'tidings'::regnamespace and c.relkind = 'S' and has_sequence_privilege($1, c.oid, r.deed)
    order by 1";

#[tokio::test]
async fn caller_with_the_rights_to_register_can_register_and_nothing_else() {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    let role = format!("caller_{}", Uuid::new_v4().simple());
    let grants = format!(
        "create role {role};
         grant usage on schema tidings to {role};
         grant execute on function tidings.register_event, tidings.register_events to {role}"
    );
    sqlx::raw_sql(AssertSqlSafe(grants)).execute(&world.pool).await.unwrap();
    let may: Vec<String> =
        sqlx::query_scalar(MAY).bind(&role).fetch_all(&world.pool).await.unwrap();
    assert_eq!(may, ["execute register_event", "execute register_events", "use the schema"]);

    // What the catalogs say is what happens: for every relation and function that there is.
    let mut conn = PgConnection::connect(&world.database.url()).await.unwrap();
    let forbidden: Vec<String> = sqlx::query_scalar(
        "select format(f, c.oid::regclass) from pg_class c,
           unnest(array['select from %s', 'insert into %s default values', 'delete from %s', 'truncate %s']) as f
         where c.relnamespace = 'tidings'::regnamespace and c.relkind in ('r', 'p', 'v')
         union all
         -- From a table of one row, because a call of a constant may be left out when the statement is planned.
         select format('select %s(%s) from (select 1 %s offset 0) as a', p.oid::regproc,
           (select string_agg('a' || n, ', ') from generate_series(1, p.pronargs) as n),
           (select string_agg(', null::' || t::regtype || ' as a' || n, '')
            from unnest(p.proargtypes::oid[]) with ordinality as u (t, n)))
         from pg_proc p
         where p.pronamespace = 'tidings'::regnamespace and p.prorettype <> 'trigger'::regtype
           and p.proname not in ('register_event', 'register_events')",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    assert!(forbidden.len() > 100, "{forbidden:?}");
    sqlx::raw_sql(AssertSqlSafe(format!("set role {role}"))).execute(&mut conn).await.unwrap();
    for statement in forbidden {
        let attempt = sqlx::raw_sql(AssertSqlSafe(statement.clone()));
        let refused = attempt.execute(&mut conn).await.unwrap_err();
        let code = refused.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap();
        assert_eq!(code, "42501", "{statement}: {refused}");
    }
    sqlx::raw_sql(CALLS[0]).execute(&mut conn).await.unwrap();
    sqlx::raw_sql(CALLS[2]).execute(&mut conn).await.unwrap();
    assert_eq!(world.value::<i64>("select count(*) from tidings.event").await, 2);
    assert_eq!(world.pending().await, 2, "and the subscriber will hear of both");
    sqlx::raw_sql(AssertSqlSafe(format!("drop owned by {role}; drop role {role}")))
        .execute(&world.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_runs_with_the_rights_of_the_owner_looks_for_names_in_the_catalog_first() {
    let world = World::new(&[]).await;
    let others: Vec<String> = sqlx::query_scalar(
        "select proname::text from pg_proc
         where pronamespace = 'tidings'::regnamespace and prosecdef
           and not coalesce('search_path=pg_catalog, pg_temp' = any(proconfig), false)",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(others, ["register_v1"], "which names everything in full");
}
