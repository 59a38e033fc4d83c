//! A process that is killed between any two steps of a commit, and of the rebuild of what it remembers.

use tidings_tests::{
    Database, SOON,
    kafka::{Gate, Held, Kafka as Broker, Ports, Request, Step},
};

use super::{
    killed::SETTLED,
    stage::{Parts, Stage, on_kafka},
};

/// How many events are sent for each step.
const EVENTS: u32 = 300;

/// The steps of a commit of the second hop, in their order: what the broker never hears of, and what it has done without
/// the process knowing.
const COMMIT: [Step; 10] = [
    of_refine(Request::InitProducerId, Held::Request),
    of_refine(Request::AddPartitions, Held::Request),
    of_refine(Request::Produce, Held::Request),
    of_refine(Request::Produce, Held::Answer),
    of_refine(Request::AddOffsets, Held::Request),
    of_refine(Request::AddOffsets, Held::Answer),
    of_refine(Request::CommitOffsets, Held::Request),
    of_refine(Request::CommitOffsets, Held::Answer),
    of_refine(Request::EndTransaction, Held::Request),
    of_refine(Request::EndTransaction, Held::Answer),
];

/// The steps of a process that takes over: where the group has committed, up to where the keys were written, and the keys.
const REBUILD: [Step; 3] = [
    of_refine(Request::OffsetFetch, Held::Answer),
    Step { request: Request::ListOffsets, client: "tidings", held: Held::Answer },
    Step { request: Request::Fetch, client: "tidings-reader", held: Held::Answer },
];

const fn of_refine(request: Request, held: Held) -> Step {
    Step { request, client: "tidings-refine", held }
}

#[tokio::test(flavor = "multi_thread")]
async fn process_killed_between_any_two_steps_brings_every_event_once() {
    let mut gate = Gate::bind().await;
    let mut ports = Ports::find();
    ports.advertised = gate.port();
    let broker = Broker::start(ports).await;
    gate.open(ports.proxied);
    let (log, _) = on_kafka(&broker.brokers(), "step.");
    let (_, choice) = on_kafka(&broker.proxied(), "step.");
    let parts = Parts { log, database: Database::durable().await, choice, seed: 3 };
    let mut stage = Stage::new(parts).await;
    for step in COMMIT.into_iter().chain(REBUILD) {
        gate.hold(step);
        stage.start(0).await;
        stage.send(EVENTS).await;
        gate.held(SOON * 2).await;
        stage.kill(0).await;
    }
    stage.start(0).await;
    let expected = stage.settled(SETTLED).await;
    stage.stop_all().await;
    stage.check(&expected, None).await;
}
