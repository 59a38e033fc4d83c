//! Members that come and go while others write.

use tidings_tests::kafka::Kafka as Broker;

use super::{
    copying::{Copier, copied_once, prepare, write},
    log,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_copied_once_while_three_members_become_two_and_three_again() {
    let broker = Broker::shared().await;
    let log = log(&broker.brokers(), &broker.prefix());
    prepare(&log).await;
    let writer = tokio::spawn({
        let log = log.clone();
        async move {
            for begin in (0..3000).step_by(10) {
                write(&log, begin..begin + 10).await;
            }
        }
    });
    let [one, two, three] = [(); 3].map(|()| Copier::start(&log, 50));
    for copier in [&one, &two, &three] {
        copier.holds(2).await;
    }
    two.stop().await;
    for copier in [&one, &three] {
        copier.holds(3).await;
    }
    let four = Copier::start(&log, 50);
    for copier in [&one, &three, &four] {
        copier.holds(2).await;
    }
    writer.await.unwrap();
    copied_once(&log, 3000).await;
    for copier in [one, three, four] {
        copier.stop().await;
    }
}
