//! A broker that is killed.

use tidings_tests::kafka::{Kafka as Broker, Ports};

use super::{
    copying::{Copier, copied_once, prepare, write},
    log,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_copied_once_although_the_broker_is_killed_in_the_middle_of_commits() {
    let broker = Broker::mortal(Ports::find()).await;
    let log = log(&broker.brokers(), "");
    prepare(&log).await;
    write(&log, 0..2000).await;
    let copier = Copier::start(&log, 100);
    for _ in 0..2 {
        copier.commits(5).await;
        broker.kill().await;
        broker.restart().await;
    }
    copied_once(&log, 2000).await;
    // Whoever has a log goes on using it.
    write(&log, 2000..2010).await;
    copied_once(&log, 2010).await;
    copier.stop().await;
}
