//! What a type's own row says about whom its events are told, so that registering need not ask the route.

use tidings_tests::{Draft, World};

use super::lanes;

/// Subscribers and subscriptions of `order:placed`; nothing where the route has to be asked.
async fn told(world: &World) -> Option<(Vec<i32>, Vec<i32>)> {
    let (subscribers, subscriptions, lanes): (Option<Vec<i32>>, Option<Vec<i32>>, Option<String>) =
        sqlx::query_as(
            "select subscribers, array_remove(subscriptions, null), lanes from tidings.event_type where type = 'order:placed'",
        )
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let subscribers = subscribers?;
    let listed: Vec<String> = subscribers.iter().map(ToString::to_string).collect();
    let listed = if listed.is_empty() { String::new() } else { format!(" {}", listed.join(",")) };
    assert_eq!(lanes, Some(listed));
    Some((subscribers, subscriptions.unwrap()))
}

#[tokio::test]
async fn type_lists_its_subscribers_while_they_depend_on_nothing_else() {
    let world = World::new(&["order:placed", "order:shipped"]).await;
    let nobody = Some((vec![], vec![]));
    assert_eq!(told(&world).await, nobody);
    let one = world.bare_subscriber("one", "memory", serde_json::json!({})).await;
    let two = world.bare_subscriber("two", "memory", serde_json::json!({})).await;
    let first = world.subscribe(one, "order:*", "", false).await;
    assert_eq!(told(&world).await, Some((vec![one], vec![first])));
    // Two subscriptions of one subscriber are one delivery, under the lowest.
    let second = world.subscribe(one, "order:placed", "", false).await;
    let third = world.subscribe(two, "order:placed", "", false).await;
    assert_eq!(told(&world).await, Some((vec![one, two], vec![first, third])));
    let event = world.register(Draft::new("order:placed").scope("shop=s1")).await;
    assert_eq!(lanes(&world, event).await, [one, two]);
    world.unsubscribe(first).await;
    assert_eq!(told(&world).await, Some((vec![one, two], vec![second, third])));

    // Order, scope, tenant and filter ask the event; without the subscription it is plain again.
    for edit in [
        "update tidings.subscription set ordered = true where subscription_id = $1",
        "update tidings.subscription set scope = 'shop=s1' where subscription_id = $1",
        "update tidings.subscription set tenant = 'acme' where subscription_id = $1",
        r#"update tidings.subscription set filter = '{"a": 1}' where subscription_id = $1"#,
    ] {
        let extra = world.subscribe(one, "*:placed", "", false).await;
        assert_eq!(told(&world).await, Some((vec![one, two], vec![second, third])));
        sqlx::query(edit).bind(extra).execute(&world.pool).await.unwrap();
        assert_eq!(told(&world).await, None, "{edit}");
        sqlx::query("delete from tidings.subscription where subscription_id = $1")
            .bind(extra)
            .execute(&world.pool)
            .await
            .unwrap();
        assert_eq!(told(&world).await, Some((vec![one, two], vec![second, third])), "{edit}");
    }
    sqlx::query("select tidings.remove_subscriber_v1($1)")
        .bind(two)
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(told(&world).await, Some((vec![one], vec![second])));
    // A subscription that is moved to another pattern leaves one type and comes to another.
    let moves = "update tidings.subscription s set pattern_id = p.pattern_id from tidings.pattern p
                 where s.subscription_id = $1 and p.pattern = $2";
    let shipped = "select array[subscription_id] = subscriptions from tidings.event_type, tidings.subscription
                   where type = 'order:shipped' and deleted_at is null";
    world.execute("insert into tidings.pattern (pattern) values ('order:shipped')").await;
    sqlx::query(moves).bind(second).bind("order:shipped").execute(&world.pool).await.unwrap();
    assert_eq!(told(&world).await, nobody);
    assert!(world.value::<bool>(shipped).await);
    sqlx::query(moves).bind(second).bind("order:placed").execute(&world.pool).await.unwrap();
    assert_eq!(told(&world).await, Some((vec![one], vec![second])));
    assert!(!world.value::<bool>(shipped).await);
    world.unsubscribe(second).await;
    assert_eq!(told(&world).await, nobody);
}

#[tokio::test]
async fn type_with_more_than_64_subscribers_is_expanded_without_asking_the_route() {
    let world = World::new(&["order:placed"]).await;
    world
        .execute(
            "insert into tidings.pattern (pattern) values ('order:placed');
             insert into tidings.subscriber (name, kind, shard)
             select 's' || n, 'memory', 0 from generate_series(1, 65) n;
             insert into tidings.subscription (subscriber_id, pattern_id)
             select subscriber_id, 1 from tidings.subscriber where name between 's1' and 's9' and name <> 's65'",
        )
        .await;
    assert_eq!(told(&world).await.unwrap().0.len(), 64);
    let event = world.register(Draft::new("order:placed")).await;
    assert_eq!(lanes(&world, event).await.len(), 64);
    world
        .execute(
            "insert into tidings.subscription (subscriber_id, pattern_id)
             select subscriber_id, 1 from tidings.subscriber where name = 's65'",
        )
        .await;
    assert_eq!(told(&world).await, Some((vec![0], Vec::new())));
    let event = world.register(Draft::new("order:placed")).await;
    assert_eq!(lanes(&world, event).await, [0], "the worker expands");
    assert_eq!(world.value::<i64>("select count(*) from tidings.expansion").await, 1);
    // What keeps order is written at once, so that the route has to be asked.
    world.execute("update tidings.subscription set ordered = true where subscription_id = 5").await;
    assert_eq!(told(&world).await, None);
    world
        .execute("update tidings.subscription set ordered = false where subscription_id = 5")
        .await;
    assert_eq!(told(&world).await, Some((vec![0], Vec::new())));
    world
        .execute("update tidings.subscription set deleted_at = now() where subscription_id = 3")
        .await;
    assert_eq!(told(&world).await.unwrap().0.len(), 64);
}
